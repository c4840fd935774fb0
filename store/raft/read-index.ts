import { type VoteResult, voteResult } from "./quorum.ts";
import type { ReadState } from "./types.ts";

interface PendingRead {
  readonly context: number;
  /** The commit index when the leader took the read; undefined until an entry of its term is committed. */
  index: number | undefined;
  /** Voters that confirmed this leader after the read arrived. */
  readonly confirmedBy: Set<bigint>;
}

/**
 * Linearizable reads without a log entry (Raft §6.4): the leader notes its commit index, lets a quorum confirm that it
 * leads still, and the read may be served once that index is applied. Before the leader has committed an entry of its
 * own term it does not know the commit index of earlier terms, and reads wait.
 */
export class ReadIndexQueue {
  readonly #limit: number;
  readonly #self: bigint;
  #pending: PendingRead[] = [];

  constructor(options: { readonly self: bigint; readonly limit: number }) {
    this.#self = options.self;
    this.#limit = options.limit;
  }

  /** Takes a read; false when the limit of waiting reads is reached. */
  add(context: number): boolean {
    if (this.#pending.length >= this.#limit) return false;
    this.#pending.push({ context, index: undefined, confirmedBy: new Set([this.#self]) });
    return true;
  }

  /**
   * Reads that are confirmed by a quorum of `voters`, in the order of asking; they leave the queue. `commit` is
   * undefined while no entry of the leader's term is committed.
   */
  take(voters: readonly bigint[], commit: number | undefined): readonly ReadState[] {
    if (commit === undefined || this.#pending.length === 0) return [];
    const answered: ReadState[] = [];
    const waiting: PendingRead[] = [];
    for (const read of this.#pending) {
      read.index ??= commit;
      if (confirmation(voters, read) === "won") answered.push({ index: read.index, context: read.context });
      else waiting.push(read);
    }
    this.#pending = waiting;
    return answered;
  }

  get waiting(): number {
    return this.#pending.length;
  }

  /** Forgets all reads: this member leads no more. */
  clear(): void {
    this.#pending = [];
  }
}

function confirmation(voters: readonly bigint[], read: PendingRead): VoteResult {
  return voteResult(voters, (voter) => (read.confirmedBy.has(voter) ? true : undefined));
}
