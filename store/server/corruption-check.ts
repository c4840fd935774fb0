import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { KvHash } from "../apply/types.ts";
import type { Member } from "../membership/types.ts";
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmType,
  HashKVRequest,
  HashKVResponse,
} from "../proto/gen/rpc.ts";
import { idText } from "../raft/id-text.ts";
import { majority } from "../raft/quorum.ts";
import type { Replica } from "../replica/replica.ts";
import type { CallMember } from "./call-member.ts";
import { confirmedTerm } from "./confirmed-term.ts";
import { HASH_CALL } from "./peer-calls.ts";
import type { Proposals } from "./proposals.ts";

/** A whole store is hashed in seconds, and beside everything else that a member does. */
const HASH_TIMEOUT_MS = 600_000;
/** Stands for the whole cluster in an alarm, when no majority says who is right (etcd corrupt.go). */
const WHOLE_CLUSTER = 0n;

export interface CorruptionCheckOptions {
  readonly replica: Pick<Replica, "memberId" | "status" | "readIndex"> & {
    readonly state: Pick<Replica["state"], "members" | "alarms" | "revision">;
  };
  /** This member's own hash. */
  readonly hash: (revision: number, options: { readonly signal: AbortSignal }) => Promise<KvHash>;
  readonly callMember: CallMember;
  readonly proposals: Pick<Proposals, "propose">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly periodMs: number;
}

/** What a member holds at one revision, and the newest that it has. */
interface Held {
  readonly id: bigint;
  readonly hash: number;
  readonly compactRevision: number;
}

/**
 * Compares what the members hold, at the leader, each period until the signal aborts (etcd corrupt.go PeriodicCheck), and
 * raises the alarm CORRUPT, with which every member refuses to read and to write, for those that differ.
 */
export async function runCorruptionCheck(
  options: CorruptionCheckOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { replica, clock, logger, periodMs, signal } = options;
  while (!signal.aborted) {
    await clock.sleep(periodMs, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    if (replica.status.role !== "leader") continue;
    try {
      await checkOnce(options, { signal });
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ reason: errorMessage(error) }, "failed to check for corruption, will retry");
    }
  }
}

async function checkOnce(
  options: CorruptionCheckOptions,
  waits: { readonly signal: AbortSignal },
): Promise<void> {
  const { replica, logger } = options;
  const { state, memberId } = replica;
  if (state.members.length === 1) return;
  await confirmedTerm(replica, waits);
  const { revision } = state;
  const { hash, compactRevision } = await options.hash(revision, waits);
  const own: Held = { id: memberId, hash, compactRevision };
  const others = state.members.filter(({ id }) => id !== memberId);
  const answers = await Promise.all(others.map((member) => askHash(options, member, revision, waits)));
  // A member that compacts while it is asked, or that is behind, is compared the next time.
  const compared = [own, ...answers.filter((held) => held !== undefined)].filter(
    (held) => held.compactRevision === compactRevision,
  );
  const corrupt = corruptMembers(compared, state.members.length);
  const fields = { revision, compactRevision, members: compared.map(({ id }) => idText(id)) };
  if (corrupt.length === 0) {
    if (compared.length === state.members.length) logger.info(fields, "members hold the same data");
    else logger.info(fields, "members that could be compared hold the same data");
    return;
  }
  const hashes = Object.fromEntries(compared.map((held) => [idText(held.id), held.hash]));
  logger.error({ ...fields, hashes, corrupt: corrupt.map(idText) }, "members hold different data");
  for (const id of corrupt) await raise(options, id, waits);
}

/** Undefined, and a line in the log, when it cannot be compared. */
async function askHash(
  { callMember, logger }: CorruptionCheckOptions,
  member: Member,
  revision: number,
  { signal }: { readonly signal: AbortSignal },
): Promise<Held | undefined> {
  const body = HashKVRequest.encode({ revision }).finish();
  try {
    const call = { method: HASH_CALL, body };
    const answer = await callMember(member, call, { timeoutMs: HASH_TIMEOUT_MS, signal });
    const { hash, compactRevision } = HashKVResponse.decode(answer);
    return { id: member.id, hash, compactRevision };
  } catch (error) {
    signal.throwIfAborted();
    const reason = errorMessage(error);
    logger.warn({ member: idText(member.id), revision, reason }, "cannot compare the hash of a member");
    return undefined;
  }
}

/** Those that differ from what a quorum of all members holds; the whole cluster when no quorum agrees. */
export function corruptMembers(compared: readonly Held[], members: number): readonly bigint[] {
  const groups = [...Map.groupBy(compared, ({ hash }) => hash).values()];
  if (groups.length <= 1) return [];
  const right = groups.find((group) => group.length >= majority(members));
  if (right === undefined) return [WHOLE_CLUSTER];
  return groups.filter((group) => group !== right).flatMap((group) => group.map(({ id }) => id));
}

async function raise(
  { replica, proposals }: CorruptionCheckOptions,
  memberID: bigint,
  waits: { readonly signal: AbortSignal },
): Promise<void> {
  const alarm = AlarmType.CORRUPT;
  if (replica.state.alarms.some((raised) => raised.memberID === memberID && raised.alarm === alarm)) return;
  const request = { action: AlarmRequest_AlarmAction.ACTIVATE, memberID, alarm };
  await proposals.propose("alarm", AlarmRequest.encode(request).finish(), waits);
}
