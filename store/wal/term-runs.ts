import type { EntryId } from "../raft/types.ts";

/** The terms of a log's entries, as the indexes at which the term changes: a few, however long the log. */
export class TermRuns {
  /** Ascending; a run goes on to where the next begins. */
  readonly #runs: { readonly from: number; readonly term: number }[];

  /** `before` is the entry behind which the log begins. */
  constructor(before: EntryId) {
    this.#runs = [{ from: before.index, term: before.term }];
  }

  /** Takes the log's next entry, or one that replaces an entry and everything behind it. */
  append({ index, term }: EntryId): void {
    while ((this.#runs.at(-1)?.from ?? -1) >= index) this.#runs.pop();
    if (this.#runs.at(-1)?.term !== term) this.#runs.push({ from: index, term });
  }

  /** The term of the entry at `index`, which is at or before the last one; undefined before the first. */
  at(index: number): number | undefined {
    return this.#runs.findLast(({ from }) => from <= index)?.term;
  }
}
