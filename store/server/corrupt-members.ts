import type { Logger } from "../../base/log.ts";
import { AlarmRequest, AlarmRequest_AlarmAction, AlarmType } from "../proto/gen/rpc.ts";
import { idText } from "../raft/id-text.ts";
import { majority } from "../raft/quorum.ts";
import type { Replica } from "../replica/replica.ts";
import type { Proposals } from "./proposals.ts";

/** Stands for the whole cluster in an alarm, when no majority says who is right (etcd corrupt.go). */
const WHOLE_CLUSTER = 0n;

/** What a member holds at one revision. */
export interface HeldHash {
  readonly id: bigint;
  readonly hash: number;
  readonly compactRevision: number;
}

export interface RaiseOptions {
  readonly replica: { readonly state: Pick<Replica["state"], "members" | "alarms"> };
  readonly proposals: Pick<Proposals, "propose">;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Raises the alarm CORRUPT for each that differs from the majority; false when there is none. */
export async function raiseForCorrupt(
  compared: readonly HeldHash[],
  at: { readonly revision: number; readonly compactRevision: number },
  options: RaiseOptions,
): Promise<boolean> {
  const corrupt = corruptMembers(compared, options.replica.state.members.length);
  if (corrupt.length === 0) return false;
  const hashes = Object.fromEntries(compared.map((held) => [idText(held.id), held.hash]));
  options.logger.error({ ...at, hashes, corrupt: corrupt.map(idText) }, "members hold different data");
  for (const id of corrupt) await raiseCorrupt(id, options);
  return true;
}

/** Those that differ from what a quorum of all members holds; the whole cluster when no quorum agrees. */
export function corruptMembers(compared: readonly HeldHash[], members: number): readonly bigint[] {
  const groups = [...Map.groupBy(compared, ({ hash }) => hash).values()];
  if (groups.length <= 1) return [];
  const right = groups.find((group) => group.length >= majority(members));
  if (right === undefined) return [WHOLE_CLUSTER];
  return groups.filter((group) => group !== right).flatMap((group) => group.map(({ id }) => id));
}

/** Unless it is raised. With it every member refuses to read and to write. */
async function raiseCorrupt(
  memberID: bigint,
  { replica: { state }, proposals, signal }: RaiseOptions,
): Promise<void> {
  const alarm = AlarmType.CORRUPT;
  if (state.alarms.some((raised) => raised.memberID === memberID && raised.alarm === alarm)) return;
  const request = { action: AlarmRequest_AlarmAction.ACTIVATE, memberID, alarm };
  await proposals.propose("alarm", AlarmRequest.encode(request).finish(), { signal });
}
