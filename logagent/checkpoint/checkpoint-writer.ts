import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { CHECKPOINT_RETRY_MS, CheckpointPace } from "./checkpoint-pace.ts";

export interface CheckpointWriterOptions {
  /** Of the file, for messages. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Before each write; what it changes is written. */
  readonly prepare: () => Promise<void>;
  /**
   * Writes everything as it is when it is called, and gives the bytes. `isLast`: the writer is closing; `isRepeated`: the write
   * before failed. Throws what the disk throws.
   */
  readonly write: (how: { readonly isLast: boolean; readonly isRepeated: boolean }) => Promise<number>;
  /** A write of this version has ended, also when it failed. */
  readonly ended: (version: number) => void;
}

/**
 * When checkpoints are written: one write at a time, with everything changed until it begins, no more often than their pace
 * allows. One that fails stops nothing: it is logged, shown by `failure`, and tried again.
 */
export class CheckpointWriter {
  readonly #options: CheckpointWriterOptions;
  readonly #pace: CheckpointPace;
  readonly #closing = new AbortController();
  #version = 0;
  #durableVersion = 0;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #scheduled = false;
  #failure: string | undefined;

  constructor(options: CheckpointWriterOptions) {
    this.#options = options;
    this.#pace = new CheckpointPace(options.clock);
  }

  /** Goes up with every change. */
  get version(): number {
    return this.#version;
  }

  /** What the last write failed with, as a sentence. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Something has changed: it is on disk within a second, or more where there is much to write. */
  touch(): void {
    this.#version += 1;
    void this.#schedule(this.#failure === undefined ? this.#pace.intervalMs : CHECKPOINT_RETRY_MS);
  }

  /** Resolves when everything changed so far is durable, or could not be written (see `failure`). Never rejects. */
  persisted(): Promise<void> {
    if (this.#durableVersion === this.#version) return Promise.resolve();
    this.#queued ??= this.#writeNext();
    return this.#queued;
  }

  /** Writes once more. Idempotent. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return this.persisted();
    this.#closing.abort();
    this.#version += 1;
    await this.persisted();
  }

  async #schedule(afterMs: number): Promise<void> {
    if (this.#scheduled || this.#closing.signal.aborted) return;
    this.#scheduled = true;
    await sleepUnlessAborted(this.#options.clock, afterMs, this.#closing);
    this.#scheduled = false;
    // close() writes by itself.
    if (!this.#closing.signal.aborted) await this.persisted();
  }

  async #writeNext(): Promise<void> {
    await this.#running;
    await this.#pace.rest(this.#closing);
    this.#queued = undefined;
    this.#running = this.#write();
    await this.#running;
  }

  async #write(): Promise<void> {
    const { path, logger, prepare, write, ended } = this.#options;
    await prepare();
    const version = this.#version;
    const isRepeated = this.#failure !== undefined;
    try {
      this.#pace.wrote(await write({ isLast: this.#closing.signal.aborted, isRepeated }));
      this.#durableVersion = version;
      if (isRepeated) logger.info({ path }, "checkpoints are written again");
      this.#failure = undefined;
    } catch (error) {
      const failure = `Cannot write checkpoints ${path}: ${errorMessage(error)}`;
      if (!isRepeated) {
        logger.error({ path, err: error }, "checkpoints cannot be written; a restart would send lines again");
      }
      this.#failure = failure;
      void this.#schedule(CHECKPOINT_RETRY_MS);
    }
    // Also when it failed: shipping goes on, at the price of other ids after a crash.
    ended(version);
  }
}
