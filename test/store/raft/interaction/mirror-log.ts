import { invariant } from "../../../../base/invariant.ts";
import type { Entry, EntryId, SnapshotMeta } from "../../../../store/raft/types.ts";

/** What a member's disk holds: a log behind what was compacted or came as a snapshot (etcd raft.MemoryStorage). */
export class MirrorLog {
  #compacted: EntryId;
  #entries: readonly Entry[] = [];

  constructor(compacted: EntryId) {
    this.#compacted = compacted;
  }

  get firstIndex(): number {
    return this.#compacted.index + 1;
  }

  get lastIndex(): number {
    return this.#compacted.index + this.#entries.length;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** They may replace a tail that is there. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(
      first.index >= this.firstIndex && first.index <= this.lastIndex + 1,
      `entry ${first.index} is written into the log ${this.firstIndex} to ${this.lastIndex}, or behind it`,
    );
    this.#entries = [...this.#entries.slice(0, first.index - this.firstIndex), ...entries];
  }

  install({ term, index }: SnapshotMeta): void {
    invariant(
      index > this.#compacted.index,
      `snapshot ${index} is newer than the start of the log, ${this.#compacted.index}`,
    );
    this.#compacted = { term, index };
    this.#entries = [];
  }

  /** Forgets the entries up to `index`. */
  compact(index: number): void {
    const last = this.#entries[index - this.firstIndex];
    invariant(last !== undefined, `compacted ${index} is in the log ${this.firstIndex} to ${this.lastIndex}`);
    this.#entries = this.#entries.slice(index - this.firstIndex + 1);
    this.#compacted = { term: last.term, index };
  }
}
