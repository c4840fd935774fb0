import { invariant } from "../../base/invariant.ts";

/**
 * Which bytes of a file are acknowledged, when the news comes in any order. Keeps only what lies beyond the first gap, so
 * that it stays as small as the number of batches that overtook others.
 */
export class AckedRanges {
  /** Every byte before it is acknowledged. */
  #contiguousTo: number;
  /** Beyond the gap: disjoint, not touching, ascending. */
  readonly #islands: { from: number; to: number }[] = [];

  constructor(from: number) {
    this.#contiguousTo = from;
  }

  get contiguousTo(): number {
    return this.#contiguousTo;
  }

  get islands(): readonly { readonly from: number; readonly to: number }[] {
    return this.#islands;
  }

  /** Adds [from, to); what was there already is added again without harm. */
  add(from: number, to: number): void {
    invariant(from <= to, `acknowledged range [${from}, ${to}) is not reversed`);
    if (from === to) return;
    if (from <= this.#contiguousTo) this.#contiguousTo = Math.max(this.#contiguousTo, to);
    else this.#insert(from, to);
    this.#joinIslands();
  }

  #insert(from: number, to: number): void {
    const islands = this.#islands;
    let first = islands.length;
    while (first > 0 && (islands[first - 1]?.to ?? 0) >= from) first -= 1;
    let next = first;
    let low = from;
    let high = to;
    for (let island = islands[next]; island !== undefined && island.from <= high; island = islands[++next]) {
      low = Math.min(low, island.from);
      high = Math.max(high, island.to);
    }
    islands.splice(first, next - first, { from: low, to: high });
  }

  #joinIslands(): void {
    for (let island = this.#islands[0]; island !== undefined; island = this.#islands[0]) {
      if (island.from > this.#contiguousTo) return;
      this.#contiguousTo = Math.max(this.#contiguousTo, island.to);
      this.#islands.shift();
    }
  }
}
