import type { Clock } from "../../base/clock.ts";

/** Lets a line into the log at most once an interval, unless it says something else than the last one did. */
export class LogLimit {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #last: { readonly about: string; readonly atMs: number } | undefined;
  #suppressed = 0;

  constructor(options: { readonly clock: Clock; readonly intervalMs: number }) {
    this.#clock = options.clock;
    this.#intervalMs = options.intervalMs;
  }

  /** How many lines were left out since the last one, when this one may be written; undefined when it may not. */
  admit(about = ""): number | undefined {
    const atMs = this.#clock.monotonicMs();
    if (this.#last?.about === about && atMs - this.#last.atMs < this.#intervalMs) {
      this.#suppressed += 1;
      return undefined;
    }
    const suppressed = this.#suppressed;
    this.#last = { about, atMs };
    this.#suppressed = 0;
    return suppressed;
  }

  /** What is told next is news. */
  reset(): void {
    this.#last = undefined;
    this.#suppressed = 0;
  }
}
