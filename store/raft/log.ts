import { invariant } from "../../base/invariant.ts";
import type { Entry, EntryId } from "./types.ts";

/** A bound on how much of the log is handed out at once; one entry above `bytes` passes alone. */
export interface SliceLimit {
  readonly entries: number;
  readonly bytes: number;
}

/**
 * The entries that are not yet forgotten, and how far each has come. Indexes only grow, in this order:
 *
 *     compacted ≤ applied ≤ applying ≤ committed       (what the state machine has)
 *     compacted ≤ stable ≤ writing ≤ last              (what the disk has)
 *
 * `applying` never passes `stable`: an entry is applied only when it is on this member's own disk, so that a backend
 * never holds an effect whose entry a crash could take away. Storage is asynchronous: entries up to `writing` have been
 * handed to the disk, and {@link stableTo} reports them there.
 */
export class RaftLog {
  #compacted: EntryId;
  /** #entries[0] has index #compacted.index + 1. */
  readonly #entries: Entry[];
  #stable: number;
  #writing: number;
  #committed: number;
  #applying: number;
  #applied: number;

  /** `entries` are on disk, contiguous, the first directly after `compacted`; `commit` and `applied` within them. */
  constructor(start: {
    readonly entries: readonly Entry[];
    readonly compacted: EntryId;
    readonly commit: number;
    readonly applied: number;
  }) {
    this.#compacted = start.compacted;
    this.#entries = [...start.entries];
    let next = start.compacted.index;
    for (const entry of this.#entries) {
      next += 1;
      invariant(entry.index === next, `entry ${entry.index} at the start of the log has index ${next}`);
    }
    this.#stable = next;
    this.#writing = next;
    this.#applied = start.applied;
    this.#applying = start.applied;
    // Figure 2 counts the commit index as volatile: what the backend has applied was committed, whatever is on disk.
    this.#committed = Math.max(start.commit, start.applied);
    invariant(
      start.applied >= start.compacted.index && this.#committed <= next,
      `compacted ${start.compacted.index} ≤ applied ${start.applied} ≤ committed ${this.#committed} ≤ last ${next}`,
    );
  }

  get lastIndex(): number {
    return this.#compacted.index + this.#entries.length;
  }

  get last(): EntryId {
    const entry = this.#entries.at(-1);
    return entry === undefined ? this.#compacted : { term: entry.term, index: entry.index };
  }

  get stable(): number {
    return this.#stable;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get compacted(): EntryId {
    return this.#compacted;
  }

  /** The term of the entry at `index`; undefined when it is not in the log (compacted away, or not there yet). */
  term(index: number): number | undefined {
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[index - this.#compacted.index - 1]?.term;
  }

  /**
   * Appends; entries that the log holds already at these indexes, and everything behind them, are replaced (Raft
   * §5.3). A committed entry is never replaced.
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(
      first.index <= this.lastIndex + 1,
      `entry ${first.index} follows the last one, ${this.lastIndex}`,
    );
    invariant(first.index > this.#committed, `entry ${first.index} is behind the commit, ${this.#committed}`);
    this.#entries.length = first.index - 1 - this.#compacted.index;
    this.#stable = Math.min(this.#stable, first.index - 1);
    this.#writing = Math.min(this.#writing, first.index - 1);
    for (const entry of entries) {
      invariant(
        entry.index === this.lastIndex + 1,
        `entry ${entry.index} follows the last one, ${this.lastIndex}`,
      );
      this.#entries.push(entry);
    }
  }

  /** Entries that no write has taken yet, the oldest first; they count as handed to the disk from now on. */
  takeUnwritten(limit: SliceLimit): readonly Entry[] {
    const taken = this.#slice(this.#writing, this.lastIndex, limit);
    this.#writing += taken.length;
    return taken;
  }

  /** The last entry that was handed to the disk. */
  get lastWritten(): EntryId {
    return { term: this.term(this.#writing) ?? 0, index: this.#writing };
  }

  get hasUnwritten(): boolean {
    return this.#writing < this.lastIndex;
  }

  /**
   * The log is on disk up to this entry. Returns false, and changes nothing, when the report is out of date: a later
   * append replaced the entry by one of another term, or it is known already.
   */
  stableTo(entry: EntryId): boolean {
    if (entry.index <= this.#stable || this.term(entry.index) !== entry.term) return false;
    invariant(
      entry.index <= this.#writing,
      `entry ${entry.index} on disk was handed out, up to ${this.#writing}`,
    );
    this.#stable = entry.index;
    return true;
  }

  /** Moves the commit forward; never back. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    invariant(index <= this.lastIndex, `commit ${index} is in the log, which ends at ${this.lastIndex}`);
    this.#committed = index;
  }

  /** Committed entries that are on disk here and not handed out; none while earlier ones are being applied. */
  takeCommitted(limit: SliceLimit): readonly Entry[] {
    if (!this.hasCommitted) return [];
    const taken = this.#slice(this.#applied, Math.min(this.#committed, this.#stable), limit);
    this.#applying += taken.length;
    return taken;
  }

  get hasCommitted(): boolean {
    return this.#applying === this.#applied && this.#applied < Math.min(this.#committed, this.#stable);
  }

  appliedTo(index: number): void {
    invariant(
      index >= this.#applied && index <= this.#applying,
      `applied ${index} is within what was handed out, ${this.#applied} to ${this.#applying}`,
    );
    this.#applied = index;
  }

  /** Forgets entries up to `index`, which has been applied; below what is forgotten already: nothing to do. */
  compactTo(index: number): void {
    if (index <= this.#compacted.index) return;
    invariant(index <= this.#applied, `compacted ${index} is applied, up to ${this.#applied}`);
    const term = this.term(index);
    invariant(term !== undefined, `compacted ${index} is in the log`);
    this.#entries.splice(0, index - this.#compacted.index);
    this.#compacted = { term, index };
  }

  /** Bytes of data in the entries after `from`, up to `to`. */
  dataBytes(from: number, to: number): number {
    let bytes = 0;
    for (let index = from + 1; index <= to; index += 1) {
      bytes += this.#entries[index - this.#compacted.index - 1]?.data.byteLength ?? 0;
    }
    return bytes;
  }

  /** Entries after `from`, up to `to`, as far as the limit lets them. */
  #slice(from: number, to: number, limit: SliceLimit): readonly Entry[] {
    const start = from - this.#compacted.index;
    const stop = Math.min(to - this.#compacted.index, start + limit.entries);
    let bytes = 0;
    let end = start;
    for (; end < stop; end += 1) {
      bytes += this.#entries[end]?.data.byteLength ?? 0;
      if (bytes > limit.bytes && end > start) break;
    }
    return this.#entries.slice(start, end);
  }
}
