/**
 * Leases of one member. Grants and revocations are replicated; deadlines are the leader's alone, on monotonic time
 * given as an argument, and renewals do not go through Raft. Ids are 64-bit, ttl in seconds.
 */
export interface Lease {
  readonly id: bigint;
  readonly grantedTtlSeconds: number;
  /** Keys attached to it, as latin1 strings, in the order in which they were. */
  readonly keys: ReadonlySet<string>;
}

export interface Lessor {
  /** Leader only: starts deadlines for every lease, extended by its full TTL from now (a new leader extends all). */
  promote(nowMs: number): void;
  demote(): void;
  /** Renews and returns the TTL in seconds; throws StoreError LeaseNotFound (also when it has expired), NotLeader. */
  renew(id: bigint, nowMs: number): number;
  /** Seconds left, rounded as etcd does; throws StoreError LeaseNotFound. */
  remainingSeconds(id: bigint, nowMs: number): number;
  lookup(id: bigint): Lease | undefined;
  all(): Iterable<Lease>;
  /** Leader only: leases whose deadline has passed, at most `limit`, for the server to propose their revocation. */
  expired(nowMs: number, limit: number): readonly bigint[];
  /**
   * When to ask {@link expired} next; undefined when there is no deadline, 0 when there is a lease whose deadline begins
   * only with the next call that tells the time (it was granted by apply, which knows no clock).
   */
  nextDeadlineMs(): number | undefined;
}
