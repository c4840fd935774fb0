import BTreeModule from "sorted-btree";
import { compareLatin1 } from "../backend/latin1.ts";
import type { KeyIndex, KeyState } from "./key-index.ts";
import type { KeyRange } from "./key-range.ts";

const BTree = BTreeModule.default;

/** A visit that wants no more. */
export const STOP = Symbol("stop");

/** Every key that has a kept revision, in key order (etcd mvcc, treeIndex). Keys are latin1 strings. */
export class TreeIndex {
  readonly #tree = new BTree<string, KeyIndex>(undefined, compareLatin1);

  get size(): number {
    return this.#tree.size;
  }

  get(key: string): KeyIndex | undefined {
    return this.#tree.get(key);
  }

  add(index: KeyIndex): void {
    this.#tree.set(index.key, index);
  }

  delete(key: string): void {
    this.#tree.delete(key);
  }

  /** The state at `revision` of one key. */
  stateAt(key: string, revision: number): KeyState | undefined {
    return this.#tree.get(key)?.at(revision);
  }

  /**
   * Visits the keys of a range in order, and no more than `limit` of them; returns where to go on, undefined at the end
   * of the range or when the visit said STOP. The visit must not add or delete keys.
   */
  visit(
    range: KeyRange,
    limit: number,
    visit: (index: KeyIndex) => typeof STOP | undefined,
  ): KeyRange | undefined {
    if (range.single) {
      const index = this.#tree.get(range.start);
      if (index !== undefined) visit(index);
      return undefined;
    }
    const end = range.end ?? this.#tree.maxKey();
    if (end === undefined || end < range.start) return undefined;
    let left = limit;
    const stoppedAt = this.#tree.forRange(range.start, end, range.end === undefined, (key, index) => {
      if (left === 0) return { break: { ...range, start: key } };
      left -= 1;
      return visit(index) === STOP ? { break: STOP } : undefined;
    });
    return typeof stoppedAt === "object" ? stoppedAt : undefined;
  }
}
