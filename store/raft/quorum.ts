import { invariant } from "../../base/invariant.ts";

/** Members that make a majority of `count` (Raft §5.1). */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The highest index that a majority of the voters holds on disk; a voter that `matchOf` does not know holds none. */
export function quorumIndex(
  voters: readonly bigint[],
  matchOf: (voter: bigint) => number | undefined,
): number {
  invariant(voters.length > 0, "a quorum has voters");
  const descending = voters.map((voter) => matchOf(voter) ?? 0).sort((a, b) => b - a);
  return descending[majority(voters.length) - 1] ?? 0;
}

export type VoteResult = "won" | "lost" | "pending";

/** How an election stands; `voteOf` is undefined for a voter that has not answered. */
export function voteResult(
  voters: readonly bigint[],
  voteOf: (voter: bigint) => boolean | undefined,
): VoteResult {
  invariant(voters.length > 0, "a quorum has voters");
  const needed = majority(voters.length);
  const granted = voters.filter((voter) => voteOf(voter) === true).length;
  const refused = voters.filter((voter) => voteOf(voter) === false).length;
  if (granted >= needed) return "won";
  return voters.length - refused < needed ? "lost" : "pending";
}
