import { majority } from "../raft/quorum.ts";
import type { Member } from "./types.ts";

/**
 * Whether a change leaves a quorum of voters that have started once (etcd membership/cluster.go IsReadyTo…): one that has
 * not may be a name with a mistake in its URL, and would never vote. `members` are all of the cluster.
 */
export function mayAddVoter(members: readonly Member[]): boolean {
  const voters = votersOf(members);
  const started = startedCount(voters);
  // How a cluster that was brought back from one member's data grows again.
  if (voters.length === 1 && started === 1) return true;
  return started >= majority(voters.length + 1);
}

export function mayRemoveVoter(members: readonly Member[], id: bigint): boolean {
  const rest = votersOf(members).filter((member) => member.id !== id);
  return startedCount(rest) >= majority(rest.length);
}

/** The learner that is promoted counts as started: it has caught up. */
export function mayPromote(members: readonly Member[]): boolean {
  const voters = votersOf(members);
  return startedCount(voters) + 1 >= majority(voters.length + 1);
}

export function votersOf(members: readonly Member[]): Member[] {
  return members.filter(({ isLearner }) => !isLearner);
}

function startedCount(members: readonly Member[]): number {
  return members.filter(({ name }) => name !== "").length;
}
