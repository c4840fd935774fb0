import type { Clock } from "../../base/clock.ts";
import type { Later } from "../../base/later.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Timeline } from "./timeline.ts";

/** Where the wall clocks begin. */
const EPOCH_MS = Date.UTC(2030, 0, 1);

/**
 * A machine's clocks: a monotonic one that runs too fast or too slow, from a start of its own, and a wall clock that jumps.
 * It outlives the processes of its machine.
 */
export class SimClock {
  readonly #timeline: Timeline;
  #rate = 1;
  /** Local and global time when the rate was set. */
  #localMs: number;
  #globalMs = 0;
  #wallOffsetMs = 0;

  constructor(timeline: Timeline, startMs: number) {
    this.#timeline = timeline;
    this.#localMs = startMs;
  }

  /** Local milliseconds in a global one, from now on. */
  set rate(rate: number) {
    this.#localMs = this.monotonicMs();
    this.#globalMs = this.#timeline.nowMs;
    this.#rate = rate;
  }

  get rate(): number {
    return this.#rate;
  }

  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  monotonicMs(): number {
    return this.#localMs + (this.#timeline.nowMs - this.#globalMs) * this.#rate;
  }

  wallMs(): number {
    return EPOCH_MS + this.#wallOffsetMs + this.monotonicMs();
  }

  /**
   * The clock as a process of this machine has it. Within an event no virtual time passes, but each reading takes
   * `readingMs`, which is borrowed from the time to come: so long work that looks at the clock comes to its end of turn.
   */
  of(process: SimProcess, { readingMs }: { readonly readingMs: number }): Clock {
    let lastMs = Number.NEGATIVE_INFINITY;
    return {
      monotonicMs: () => {
        lastMs = Math.max(this.monotonicMs(), lastMs + readingMs);
        return lastMs;
      },
      wallMs: () => this.wallMs(),
      sleep: (ms, options) => sleep(process, ms / this.#rate, options?.signal),
    };
  }
}

/** A later turn of a process's event loop: up to `turnMs` away, so that what comes meanwhile is gathered. */
export function simLater(process: SimProcess, turnMs: () => number): Later {
  return (work) => {
    process.after(turnMs(), work);
  };
}

function sleep(process: SimProcess, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = process.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = () => {
      process.cancel(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
