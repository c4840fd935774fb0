import { type Random, seededRandom } from "../../base/random.ts";

/** Dice of a simulation. Each part throws its own, so that a change in one leaves the others' throws as they were. */
export class Chance implements Random {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(scramble(seed));
  }

  next(): number {
    return this.#random.next();
  }

  uint64(): bigint {
    return this.#random.uint64();
  }

  /** Dice of a part. */
  fork(): Chance {
    return new Chance(Math.floor(this.next() * 2 ** 32));
  }

  /** True once in 1/`probability` times. */
  hits(probability: number): boolean {
    return this.next() < probability;
  }

  /** An integer from 0, below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Mostly near `typical`, now and then a hundred times that: how delays are. */
  longTail(typical: number): number {
    return typical * (0.2 + 1 / (0.01 + this.next()) / 10);
  }

  shuffled<T>(from: readonly T[]): T[] {
    const items = [...from];
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }
}

/** Seeds that differ by one give dice that have nothing in common. */
function scramble(seed: number): number {
  let x = seed >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
