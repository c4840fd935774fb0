import { committedIndex, type JointVoters } from "./quorum.ts";

/** A question for a read index, and who asked: this member itself, or a follower. */
export interface ReadRequest {
  readonly from: bigint;
  readonly context: bigint;
}

export interface AnsweredRead extends ReadRequest {
  /** The leader's commit when it took the read. */
  readonly index: number;
}

/**
 * Linearizable reads without a log entry (thesis §6.4), as a leader keeps them: it notes its commit, lets a quorum
 * confirm that it leads still, and the read may be served once that index is applied. Reads have positions in the order
 * of arrival; a heartbeat carries the newest, and its answer confirms all up to it, so that concurrent reads share one.
 * Before the leader has committed an entry of its own term it does not know what earlier leaders committed: reads wait.
 */
export class ReadIndexQueue {
  readonly #limit: number;
  /** Asked before the leader knew its commit. */
  #postponed: ReadRequest[] = [];
  #unconfirmed: AnsweredRead[] = [];
  /** Position of the last read that was confirmed; the first unconfirmed one has the next. */
  #confirmed = 0;
  readonly #acked = new Map<bigint, number>();

  /** `limit`: reads that may wait. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#postponed.length + this.#unconfirmed.length >= this.#limit;
  }

  /** Takes a read; `commit` is undefined while no entry of the leader's term is committed. */
  add(request: ReadRequest, commit: number | undefined): void {
    if (commit === undefined) this.#postponed.push(request);
    else this.#unconfirmed.push({ ...request, index: commit });
  }

  /** An entry of the leader's term is committed: the reads that waited for it join the others. */
  releasePostponed(commit: number): void {
    for (const request of this.#postponed) this.add(request, commit);
    this.#postponed = [];
  }

  get hasPostponed(): boolean {
    return this.#postponed.length > 0;
  }

  /** Position of the newest read; what a heartbeat asks to be confirmed. 0: nothing waits. */
  get position(): number {
    return this.#unconfirmed.length === 0 ? 0 : this.#confirmed + this.#unconfirmed.length;
  }

  /** A member confirms the leader for the reads up to `position`. */
  acknowledge(from: bigint, position: number): void {
    if (position > (this.#acked.get(from) ?? 0)) this.#acked.set(from, position);
  }

  /** The reads that a quorum has confirmed, in the order of asking; they leave the queue. */
  takeConfirmed(voters: JointVoters): readonly AnsweredRead[] {
    if (this.#unconfirmed.length === 0) return [];
    const confirmed = committedIndex(voters, (id) => this.#acked.get(id));
    if (confirmed <= this.#confirmed) return [];
    const taken = this.#unconfirmed.splice(0, confirmed - this.#confirmed);
    this.#confirmed += taken.length;
    return taken;
  }

  /** Forgets all reads: this member leads no more, or anew. */
  clear(): void {
    this.#postponed = [];
    this.#unconfirmed = [];
    this.#confirmed = 0;
    this.#acked.clear();
  }
}
