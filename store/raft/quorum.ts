/**
 * Who decides: a majority of `incoming`, and while the configuration is joint also a majority of `outgoing` (Raft thesis
 * §4.3; etcd quorum.JointConfig). An empty half imposes nothing.
 */
export interface JointVoters {
  readonly incoming: ReadonlySet<bigint>;
  /** The voters that are being left; empty when the configuration is not joint. */
  readonly outgoing: ReadonlySet<bigint>;
}

export type VoteResult = "won" | "lost" | "pending";

/** Members that make a majority of `count` (Raft §5.1). */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * The highest index that each half's majority holds. A voter for which `ackedOf` is undefined holds nothing.
 * Number.MAX_SAFE_INTEGER when nobody votes: there is nobody to wait for.
 */
export function committedIndex(voters: JointVoters, ackedOf: (id: bigint) => number | undefined): number {
  return Math.min(majorityIndex(voters.incoming, ackedOf), majorityIndex(voters.outgoing, ackedOf));
}

/**
 * How an election stands; `voteOf` is undefined for a voter that has not answered. Lost as soon as either half is lost,
 * won when both are. Nobody votes: won.
 */
export function voteResult(voters: JointVoters, voteOf: (id: bigint) => boolean | undefined): VoteResult {
  const incoming = majorityResult(voters.incoming, voteOf);
  const outgoing = majorityResult(voters.outgoing, voteOf);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}

function majorityIndex(voters: ReadonlySet<bigint>, ackedOf: (id: bigint) => number | undefined): number {
  if (voters.size === 0) return Number.MAX_SAFE_INTEGER;
  const descending = Array.from(voters, (id) => ackedOf(id) ?? 0).sort((a, b) => b - a);
  return descending[majority(voters.size) - 1] ?? 0;
}

function majorityResult(
  voters: ReadonlySet<bigint>,
  voteOf: (id: bigint) => boolean | undefined,
): VoteResult {
  if (voters.size === 0) return "won";
  let granted = 0;
  let pending = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === undefined) pending += 1;
    else if (vote) granted += 1;
  }
  const needed = majority(voters.size);
  if (granted >= needed) return "won";
  return granted + pending >= needed ? "pending" : "lost";
}
