import type { Clock } from "../../base/clock.ts";

interface Line {
  readonly atMs: number;
  suppressed: number;
}

/** Lets each line into the log once an interval. Lines are known by their messages, which are constant and few. */
export class LogLimits {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #lines = new Map<string, Line>();

  constructor(options: { readonly clock: Clock; readonly intervalMs: number }) {
    this.#clock = options.clock;
    this.#intervalMs = options.intervalMs;
  }

  /** How often this line was left out since it was written last, when it may be written now; undefined when it may not. */
  admit(message: string): number | undefined {
    const atMs = this.#clock.monotonicMs();
    const last = this.#lines.get(message);
    if (last !== undefined && atMs - last.atMs < this.#intervalMs) {
      last.suppressed += 1;
      return undefined;
    }
    this.#lines.set(message, { atMs, suppressed: 0 });
    return last?.suppressed ?? 0;
  }

  /** What comes next is news. */
  reset(): void {
    this.#lines.clear();
  }
}
