import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { idText } from "../raft/id-text.ts";
import type { Replica } from "../replica/replica.ts";
import { askHashes } from "./ask-hashes.ts";
import type { CallMember } from "./call-member.ts";
import { confirmedTerm } from "./confirmed-term.ts";
import { type HeldHash, raiseForCorrupt } from "./corrupt-members.ts";
import type { KvHashes } from "./kv-hashes.ts";
import { HASH_CALL } from "./peer-calls.ts";
import type { Proposals } from "./proposals.ts";

/** A whole store is hashed in seconds, and beside everything else that a member does. */
const HASH_TIMEOUT_MS = 600_000;

export interface CorruptionCheckOptions {
  readonly replica: Pick<Replica, "memberId" | "status" | "readIndex"> & {
    readonly state: Pick<Replica["state"], "members" | "alarms" | "revision">;
  };
  /** This member's own. */
  readonly hashes: Pick<KvHashes, "now" | "compactions">;
  readonly callMember: CallMember;
  readonly proposals: Pick<Proposals, "propose">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs `check` each period until the signal aborts, while this member leads other members; never, when the period is 0. */
export async function runAtLeader(
  options: CorruptionCheckOptions & { readonly periodMs: number; readonly signal: AbortSignal },
  check: (options: CorruptionCheckOptions & { readonly signal: AbortSignal }) => Promise<void>,
): Promise<void> {
  const { replica, clock, logger, periodMs, signal } = options;
  while (periodMs > 0 && !signal.aborted) {
    await sleepUnlessAborted(clock, periodMs, { signal });
    if (signal.aborted) return;
    if (replica.status.role !== "leader" || replica.state.members.length === 1) continue;
    try {
      await confirmedTerm(replica, { signal });
      await check(options);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ reason: errorMessage(error) }, "failed to check for corruption, will retry");
    }
  }
}

/**
 * Compares what the members hold now (etcd corrupt.go PeriodicCheck), and raises the alarm CORRUPT for those that differ.
 * For the leader.
 */
export async function checkCorruption(
  options: CorruptionCheckOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { replica, logger } = options;
  const { state, memberId } = replica;
  const { revision } = state;
  const { hash, compactRevision } = await options.hashes.now(revision, options);
  const own: HeldHash = { id: memberId, hash, compactRevision };
  const others = state.members.filter(({ id }) => id !== memberId);
  const asked = { ...options, method: HASH_CALL, timeoutMs: HASH_TIMEOUT_MS };
  const answers = await askHashes(others, revision, asked);
  // A member that compacts while it is asked, or that is behind, is compared the next time.
  const compared = [own, ...answers].filter((held) => held.compactRevision === compactRevision);
  if (await raiseForCorrupt(compared, { revision, compactRevision }, options)) return;
  const fields = { revision, compactRevision, members: compared.map(({ id }) => idText(id)) };
  if (compared.length === state.members.length) logger.info(fields, "members hold the same data");
  else logger.info(fields, "members that could be compared hold the same data");
}
