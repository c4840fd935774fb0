import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";

/** Progress is written at most this often: what a crash may make the agent send again. */
export const CHECKPOINT_INTERVAL_MS = 1_000;
/** How often a write that failed is tried again. */
export const CHECKPOINT_RETRY_MS = 5_000;

/**
 * All of it is written each time, half a kilobyte for a file. Progress takes no more of the disk than this in the long run,
 * which is 2 % of a core as well; so from 4,000 files on the interval grows.
 */
export const CHECKPOINT_BYTES_PER_SECOND_MAX = 2 * 1024 * 1024;
export const CHECKPOINT_INTERVAL_MAX_MS = 30_000;

/** New files wait for their ids to be on disk: those writes may follow each other faster. */
export const NEW_ID_BYTES_PER_SECOND_MAX = 16 * 1024 * 1024;
/** Checkpoints smaller than this are written as often as there are new ids. */
const NEW_ID_FREE_BYTES = 1024 * 1024;

/** When checkpoints are written, by how large they were the last time. */
export class CheckpointPace {
  readonly #clock: Clock;
  #bytes = 0;
  /** The next write begins no earlier, whatever it is for; monotonic milliseconds. */
  #restsUntilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long progress waits for more of it. */
  get intervalMs(): number {
    const intervalMs = (this.#bytes / CHECKPOINT_BYTES_PER_SECOND_MAX) * 1_000;
    return Math.ceil(Math.min(Math.max(intervalMs, CHECKPOINT_INTERVAL_MS), CHECKPOINT_INTERVAL_MAX_MS));
  }

  /** So many bytes have just been written. */
  wrote(bytes: number): void {
    this.#bytes = bytes;
    const restMs = bytes < NEW_ID_FREE_BYTES ? 0 : (bytes / NEW_ID_BYTES_PER_SECOND_MAX) * 1_000;
    this.#restsUntilMs = this.#clock.monotonicMs() + Math.ceil(restMs);
  }

  /** Resolves when the next write may begin; at once when the signal is aborted. */
  async rest(options: { readonly signal: AbortSignal }): Promise<void> {
    const waitMs = this.#restsUntilMs - this.#clock.monotonicMs();
    if (waitMs > 0) await sleepUnlessAborted(this.#clock, waitMs, options);
  }
}
