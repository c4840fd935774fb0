/**
 * How many writes may be done soon: a bucket of `burst` of them, of which one comes back every `refillMs`. Time is what the
 * caller says, in monotonic milliseconds.
 */
export class WriteBudget {
  readonly #burst: number;
  readonly #refillMs: number;
  /** Not whole: a part of a write has come back. */
  #left: number;
  #countedAtMs = 0;

  constructor(options: { readonly burst: number; readonly refillMs: number }) {
    this.#burst = options.burst;
    this.#refillMs = options.refillMs;
    this.#left = options.burst;
  }

  /** Takes one write; false when there is none. */
  tryTake(nowMs: number): boolean {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#countedAtMs) / this.#refillMs);
    this.#countedAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** All of them are there again. */
  fill(): void {
    this.#left = this.#burst;
  }
}
