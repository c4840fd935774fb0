/** How late the event loop was for a replica's ticks, in milliseconds: work that holds it makes heartbeats late. */
export class LoopDelay {
  #lastMs = 0;
  #maxMs = 0;

  observe(delayMs: number): void {
    this.#lastMs = Math.max(0, delayMs);
    this.#maxMs = Math.max(this.#maxMs, this.#lastMs);
  }

  /** At the last tick. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** The longest since the last call, which it begins anew: one reader scrapes it. */
  takeMaxMs(): number {
    const maxMs = this.#maxMs;
    this.#maxMs = 0;
    return maxMs;
  }
}
