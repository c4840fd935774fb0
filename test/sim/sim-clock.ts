import type { Clock } from "../../base/clock.ts";
import type { Later } from "../../base/later.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Timeline } from "./timeline.ts";

/** Where the wall clocks begin. */
const EPOCH_MS = Date.UTC(2030, 0, 1);

export interface ProcessClock extends Clock {
  /** Virtual time by which the process is ahead. */
  readonly borrowedMs: number;
}

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
   * `readingMs`, which is borrowed from the time to come: so long work that looks at the clock comes to its end of turn. Its
   * next turn comes when that time has come ({@link simLater}).
   */
  of(process: SimProcess, { readingMs }: { readonly readingMs: number }): ProcessClock {
    let lastMs = Number.NEGATIVE_INFINITY;
    const borrowedMs = () => Math.max(0, lastMs - this.monotonicMs()) / this.#rate;
    return {
      get borrowedMs() {
        return borrowedMs();
      },
      monotonicMs: () => {
        lastMs = Math.max(this.monotonicMs(), lastMs + readingMs);
        return lastMs;
      },
      wallMs: () => this.wallMs(),
      sleep: (ms, options) => sleep(process, ms / this.#rate, options?.signal),
    };
  }
}

/** A later turn of a process's event loop: `turnMs` away, so that what comes meanwhile is gathered, or when it has the time. */
export function simLater(process: SimProcess, clock: ProcessClock, turnMs: () => number): Later {
  return (work) => {
    process.after(Math.max(turnMs(), clock.borrowedMs), work);
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
