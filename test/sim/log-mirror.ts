import type { Entry, EntryId, SnapshotMeta } from "../../store/raft/types.ts";

/** The terms of a member's log as it has handed it to its disk: what the laws compare between members. */
export class LogMirror {
  #compacted: EntryId;
  /** Of the entries behind it. */
  #terms: number[];

  constructor(start: { readonly compacted: EntryId; readonly entries: readonly Entry[] }) {
    this.#compacted = start.compacted;
    this.#terms = start.entries.map(({ term }) => term);
  }

  get lastIndex(): number {
    return this.#compacted.index + this.#terms.length;
  }

  /** Undefined: not in the log any more, or not yet. */
  termAt(index: number): number | undefined {
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#terms[index - this.#compacted.index - 1];
  }

  get compactedIndex(): number {
    return this.#compacted.index;
  }

  /** Takes an entry, which replaces what is there from its index on. Returns the term before it; undefined: unknown. */
  append({ index, term }: Entry): number | undefined {
    const place = index - this.#compacted.index - 1;
    if (place < 0) return undefined;
    this.#terms.length = Math.min(this.#terms.length, place);
    this.#terms[place] = term;
    return this.termAt(index - 1);
  }

  reset({ term, index }: SnapshotMeta): void {
    this.#compacted = { term, index };
    this.#terms = [];
  }
}
