import { invariant } from "../../base/invariant.ts";
import type { KeyRange } from "../mvcc/key-range.ts";
import { RangeTree } from "./range-tree.ts";

/** The watchers of one key or one range. */
export interface Target<W> {
  readonly range: KeyRange;
  readonly watchers: Set<W>;
}

/**
 * Watchers by what they watch: single keys in a map, so that thousands of them cost a put one look-up, and ranges in an
 * interval tree, where watchers of the same range are one node. Iterates in the order in which they were added.
 */
export class TargetSet<W extends { readonly range: KeyRange }> {
  readonly #all = new Set<W>();
  readonly #keys = new Map<string, Target<W>>();
  readonly #ranges = new RangeTree<Target<W>>();

  get size(): number {
    return this.#all.size;
  }

  has(watcher: W): boolean {
    return this.#all.has(watcher);
  }

  add(watcher: W): void {
    this.#all.add(watcher);
    const target = this.#find(watcher.range) ?? this.#addTarget(watcher.range);
    target.watchers.add(watcher);
  }

  delete(watcher: W): void {
    if (!this.#all.delete(watcher)) return;
    const { range } = watcher;
    const target = this.#find(range);
    if (target === undefined) invariant(false, "a watcher that is in the set has a target");
    target.watchers.delete(watcher);
    if (target.watchers.size > 0) return;
    if (range.single) this.#keys.delete(range.start);
    else this.#ranges.delete(range);
  }

  /** Calls `visit` with each target that holds `key`, once. */
  visit(key: string, visit: (target: Target<W>) => void): void {
    const single = this.#keys.get(key);
    if (single !== undefined) visit(single);
    if (this.#ranges.size > 0) this.#ranges.visit(key, visit);
  }

  [Symbol.iterator](): Iterator<W> {
    return this.#all[Symbol.iterator]();
  }

  #find(range: KeyRange): Target<W> | undefined {
    return range.single ? this.#keys.get(range.start) : this.#ranges.get(range);
  }

  #addTarget(range: KeyRange): Target<W> {
    const target: Target<W> = { range, watchers: new Set() };
    if (range.single) this.#keys.set(range.start, target);
    else this.#ranges.add(range, target);
    return target;
  }
}
