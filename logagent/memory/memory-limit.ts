import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { FIRST_READING, nextReading, REDUCE_ABOVE, type Reading, readingBytes } from "./reading.ts";

/** How often the resident memory is looked at. */
export const SAMPLE_MS = 250;
/** Garbage is collected this often at most, for it holds up the event loop: above the limit, and near it. */
export const COLLECT_ABOVE_MS = 5_000;
export const COLLECT_NEAR_MS = 60_000;

/** Memory that goes up and down about a mark is spoken of this often at most, in each of its states. */
export const SAY_AGAIN_MS = 60_000;

/** What the limit does, as of now. */
export interface MemoryState {
  readonly limitBytes: number;
  readonly rssBytes: number;
  readonly reading: Reading["kind"];
  /** Of the whole reading budget, what may be used: 1 is all of it, 0 none. */
  readonly readingShare: number;
}

export interface MemoryLimitOptions {
  readonly limitBytes: number;
  /** The reading budget when all of it may be used. */
  readonly fullBytes: number;
  /** From now on this is the reading budget; 0: nothing is read. */
  readonly onBudget: (bytes: number) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The resident memory of this process. */
  readonly rssBytes: () => number;
  /** Collects garbage, at once. */
  readonly collect: () => void;
}

/** Keeps the process within a limit of resident memory by reading less; see ADR 8. */
export class MemoryLimit implements AsyncDisposable {
  readonly #options: MemoryLimitOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #reading: Reading = FIRST_READING;
  #rssBytes = 0;
  #collectedAtMs = Number.NEGATIVE_INFINITY;
  readonly #saidAtMs = new Map<Reading["kind"], number>();

  private constructor(options: MemoryLimitOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  static start(options: MemoryLimitOptions): MemoryLimit {
    return new MemoryLimit(options);
  }

  get state(): MemoryState {
    const { limitBytes, fullBytes } = this.#options;
    return {
      limitBytes,
      rssBytes: this.#rssBytes,
      reading: this.#reading.kind,
      readingShare: readingBytes(this.#reading, fullBytes) / fullBytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, fullBytes, onBudget } = this.#options;
    onBudget(readingBytes(this.#reading, fullBytes));
    while (!this.#closing.signal.aborted) {
      this.#sample();
      await sleepUnlessAborted(clock, SAMPLE_MS, this.#closing);
    }
  }

  #sample(): void {
    const { limitBytes, fullBytes, clock, onBudget, rssBytes } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#rssBytes = rssBytes();
    this.#collectIfDue(nowMs);
    const before = this.#reading;
    this.#reading = nextReading(before, { rssBytes: this.#rssBytes, limitBytes, nowMs });
    const bytes = readingBytes(this.#reading, fullBytes);
    if (bytes !== readingBytes(before, fullBytes)) onBudget(bytes);
    if (this.#reading.kind !== before.kind) this.#say(nowMs);
  }

  /** While nothing is read nothing is allocated, and nobody else would collect what is not used. */
  #collectIfDue(nowMs: number): void {
    const { limitBytes, rssBytes, collect } = this.#options;
    const share = this.#rssBytes / limitBytes;
    const everyMs = share > 1 ? COLLECT_ABOVE_MS : COLLECT_NEAR_MS;
    if (share <= REDUCE_ABOVE || nowMs - this.#collectedAtMs < everyMs) return;
    this.#collectedAtMs = nowMs;
    collect();
    this.#rssBytes = rssBytes();
  }

  #say(nowMs: number): void {
    const { limitBytes, logger } = this.#options;
    const { kind } = this.#reading;
    if (nowMs - (this.#saidAtMs.get(kind) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    this.#saidAtMs.set(kind, nowMs);
    const figures = { rssBytes: this.#rssBytes, limitBytes };
    switch (kind) {
      case "growing":
        logger.info(figures, "memory is well below its limit again, reading has all of its budget");
        return;
      case "reduced":
        logger.info(figures, "memory is near its limit, less is read at a time");
        return;
      case "stopped":
        logger.warn(figures, "memory is above its limit, nothing is read until it is below");
        return;
      case "least":
        logger.error(
          figures,
          "memory stays above its limit though nothing was read; reading goes on at its least",
        );
        return;
      default:
        kind satisfies never;
    }
  }
}
