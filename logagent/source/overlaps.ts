import type { Problems } from "./problems.ts";
import { statOf } from "./stat-of.ts";

/** So many paths of a scan are looked at; of further ones it is said that there may be more. */
export const OVERLAPS_LOOKED_AT_MAX = 1_000;

/** The files of one scan that entries before this one ship. */
export class Overlaps {
  #first: { readonly path: string; readonly owner: string } | undefined;
  /** Further files of the first one's owner, and of other entries. */
  #more = 0;
  #others = 0;
  #lookedAt = 0;
  #isComplete = true;

  /** A path that matches, and belongs to another entry. Whether there is a file is looked at here. */
  add(path: string, owner: string): void {
    if (this.#lookedAt === OVERLAPS_LOOKED_AT_MAX) this.#isComplete = false;
    if (!this.#isComplete) return;
    this.#lookedAt += 1;
    if (!statOf(path)?.isFile()) return;
    if (this.#first === undefined) this.#first = { path, owner };
    else if (this.#first.owner === owner) this.#more += 1;
    else this.#others += 1;
  }

  /** When all of them are added. */
  report(problems: Problems): void {
    if (this.#first === undefined) {
      problems.clear("overlap");
      return;
    }
    const { path, owner } = this.#first;
    const files = this.#more === 0 ? path : `${path} and ${this.#more} more`;
    const what = `Cannot ship ${files}: the entry ${owner} comes first and ships ${this.#more === 0 ? "it" : "them"}`;
    const others = this.#others === 0 ? "" : `; other entries before it ship ${this.#others} more`;
    const rest = this.#isComplete ? "" : ` (of the first ${OVERLAPS_LOOKED_AT_MAX} paths; there are others)`;
    problems.set("overlap", `${what}${others}${rest}`);
  }
}
