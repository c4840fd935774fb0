import type { Clock } from "../../base/clock.ts";
import { type Later, systemLater } from "../../base/later.ts";
import { runSlice } from "../../base/steps.ts";

/**
 * Shares the event loop between pieces of long work: one slice a turn, first come first served, whatever their number, so
 * that a hundred large reads delay a heartbeat as little as one does.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #later: Later;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock, later: Later = systemLater) {
    this.#clock = clock;
    this.#later = later;
  }

  /**
   * Runs a generator to its end and gives its result; throws what it throws, or the signal's reason between slices. The
   * generator is always finished or closed.
   */
  async run<Result>(
    steps: Generator<undefined, Result>,
    options: { readonly signal: AbortSignal },
  ): Promise<Result> {
    try {
      for (;;) {
        const last = runSlice(steps, this.#clock);
        if (last.done === true) return last.value;
        await this.next();
        options.signal.throwIfAborted();
      }
    } finally {
      // After its end this does nothing; before it, it lets go of the revision that the generator reads.
      steps.return(undefined as never);
    }
  }

  /** Resolves in a later turn of the event loop, when those who asked before have had theirs. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#later(() => this.#wakeOne());
    });
  }

  #wakeOne(): void {
    const wake = this.#waiting.shift();
    if (this.#waiting.length > 0) this.#later(() => this.#wakeOne());
    wake?.();
  }
}
