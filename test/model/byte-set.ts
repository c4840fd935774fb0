/** A set of byte positions, as disjoint ascending ranges. */
export class ByteSet {
  #ranges: { from: number; to: number }[] = [];

  get ranges(): readonly { readonly from: number; readonly to: number }[] {
    return this.#ranges;
  }

  /** Every position below it is in the set. */
  get prefix(): number {
    const first = this.#ranges[0];
    return first?.from === 0 ? first.to : 0;
  }

  add(from: number, to: number): void {
    if (from >= to) return;
    let low = from;
    let high = to;
    const kept = this.#ranges.filter((range) => {
      if (range.to < from || range.from > to) return true;
      low = Math.min(low, range.from);
      high = Math.max(high, range.to);
      return false;
    });
    kept.push({ from: low, to: high });
    this.#ranges = kept.sort((a, b) => a.from - b.from);
  }

  addAll(other: ByteSet): void {
    for (const { from, to } of other.ranges) this.add(from, to);
  }

  /** The first range of [0, to) that is not in the set. */
  firstGap(to: number): { readonly from: number; readonly to: number } | undefined {
    let at = 0;
    for (const range of this.#ranges) {
      if (range.from > at) break;
      at = Math.max(at, range.to);
    }
    if (at >= to) return undefined;
    const next = this.#ranges.find((range) => range.from > at);
    return { from: at, to: Math.min(to, next?.from ?? to) };
  }

  has(from: number, to: number): boolean {
    return from >= to || this.#ranges.some((range) => range.from <= from && range.to >= to);
  }
}
