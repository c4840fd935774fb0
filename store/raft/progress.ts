import { invariant } from "../../base/invariant.ts";
import type { Inflights } from "./inflights.ts";

/**
 * "probe": where the logs agree is not known; one append at a time looks for it. "replicate": appends are sent one after
 * the other without waiting. "snapshot": a snapshot was sent, nothing else is until it is taken.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** How far a follower is, as its leader knows. 0 <= match < next. */
export interface ProgressView {
  readonly state: ProgressState;
  /** The follower's log equals the leader's up to here. */
  readonly match: number;
  /** The next entry to send; what lies between match and it is on its way. */
  readonly next: number;
  /** In "snapshot": the index of the snapshot that was sent; otherwise 0. */
  readonly pendingSnapshot: number;
  /** Something was heard of it in the present election timeout. */
  readonly recentActive: boolean;
  /** No entries are to be sent now. */
  readonly isPaused: boolean;
  readonly isLearner: boolean;
  readonly inflights: { readonly count: number; readonly isFull: boolean };
}

export interface ProgressStart {
  /** Default 0. */
  readonly match?: number;
  readonly next: number;
  readonly inflights: Inflights;
  readonly isLearner: boolean;
  readonly recentActive: boolean;
}

/** The leader's record of one member, itself among them; starts in "probe" (etcd tracker.Progress). */
export class Progress implements ProgressView {
  recentActive: boolean;
  /**
   * One append is out, and no more are to follow before it is answered or a heartbeat is: set in "probe", and in
   * "replicate" with full inflights.
   */
  appendFlowPaused = false;
  /** Set to 0 before {@link becomeProbe} when the snapshot failed: then it does not count as sent. */
  pendingSnapshot = 0;
  readonly isLearner: boolean;
  readonly inflights: Inflights;
  #state: ProgressState = "probe";
  #match: number;
  #next: number;
  /** The highest commit that is on its way to the follower; goes back when what was sent is doubtful. */
  #sentCommit = 0;

  constructor({ match = 0, next, inflights, isLearner, recentActive }: ProgressStart) {
    invariant(match < next, `a follower's match ${match} is below its next ${next}`);
    this.#match = match;
    this.#next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
    this.recentActive = recentActive;
  }

  get state(): ProgressState {
    return this.#state;
  }

  get match(): number {
    return this.#match;
  }

  get next(): number {
    return this.#next;
  }

  get isPaused(): boolean {
    return this.#state === "snapshot" || this.appendFlowPaused;
  }

  /** The same record with the other role. It shares the inflights: only one of the two may be used from now on. */
  as(role: "voter" | "learner"): Progress {
    const copy = new Progress({
      match: this.#match,
      next: this.#next,
      inflights: this.inflights,
      isLearner: role === "learner",
      recentActive: this.recentActive,
    });
    copy.#state = this.#state;
    copy.#sentCommit = this.#sentCommit;
    copy.appendFlowPaused = this.appendFlowPaused;
    copy.pendingSnapshot = this.pendingSnapshot;
    return copy;
  }

  /** From behind what is known to match, or behind the snapshot that was sent, if one was. */
  becomeProbe(): void {
    const snapshot = this.#state === "snapshot" ? this.pendingSnapshot : 0;
    this.#become("probe");
    this.#next = Math.max(this.#match, snapshot) + 1;
    this.#sentCommit = Math.min(this.#sentCommit, this.#next - 1);
  }

  becomeReplicate(): void {
    this.#become("replicate");
    this.#next = this.#match + 1;
  }

  /** A snapshot up to `index` is sent. */
  becomeSnapshot(index: number): void {
    this.#become("snapshot");
    this.pendingSnapshot = index;
    this.#next = index + 1;
    this.#sentCommit = index;
  }

  /** An append with `count` entries from `next` on, of `bytes` bytes together, is sent. Not in "snapshot". */
  sentEntries(count: number, bytes: number): void {
    invariant(this.#state !== "snapshot", "no entries are sent while a snapshot is on its way");
    if (this.#state === "probe") {
      // An append without entries does not pause: entries may follow it at once.
      if (count > 0) this.appendFlowPaused = true;
      return;
    }
    if (count > 0) {
      this.#next += count;
      this.inflights.add(this.#next - 1, bytes);
    }
    this.appendFlowPaused = this.inflights.isFull;
  }

  /** A message told the follower that `index` is committed. */
  sentCommit(index: number): void {
    this.#sentCommit = index;
  }

  /** Telling the follower the commit `index` may move its own: it was not told one that reaches all it is being sent. */
  canBumpCommit(index: number): boolean {
    return index > this.#sentCommit && this.#sentCommit < this.#next - 1;
  }

  /** The follower holds everything up to `index`. False: that was known. */
  maybeUpdate(index: number): boolean {
    if (index <= this.#match) return false;
    this.#match = index;
    this.#next = Math.max(this.#next, index + 1);
    this.appendFlowPaused = false;
    return true;
  }

  /**
   * The follower refused an append behind `rejected`, and holds nothing beyond `hint` that could match. False: the
   * refusal is an old one, and nothing changes.
   */
  maybeDecrementTo(rejected: number, hint: number): boolean {
    if (this.#state === "replicate") {
      if (rejected <= this.#match) return false;
      this.#next = this.#match + 1;
    } else {
      // Probes go one at a time: a refusal of another one than the last is old.
      if (rejected !== this.#next - 1) return false;
      this.#next = Math.max(Math.min(rejected, hint + 1), this.#match + 1);
      this.appendFlowPaused = false;
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.#next - 1);
    return true;
  }

  #become(state: ProgressState): void {
    this.#state = state;
    this.appendFlowPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }
}
