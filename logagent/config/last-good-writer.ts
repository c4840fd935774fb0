import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { VersionedFile } from "../../base/versioned-file.ts";
import type { LastGood } from "./last-good.ts";

/** How often a write that failed is tried again, until it works or the agent ends; newer configs make it no more often. */
export const LAST_GOOD_RETRY_MS = 5_000;

export interface LastGoodWriterOptions {
  readonly file: Pick<VersionedFile<LastGood>, "write">;
  /** Told after every change of {@link LastGoodWriter.failure}. */
  readonly onFailure: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Keeps the last good config on disk: one write at a time, and of the configs that come meanwhile only the newest is written. */
export class LastGoodWriter {
  readonly #options: LastGoodWriterOptions;
  readonly #closing = new AbortController();
  #newest: LastGood | undefined;
  #writing: Promise<void> | undefined;
  #failure: string | undefined;

  constructor(options: LastGoodWriterOptions) {
    this.#options = options;
  }

  /** Why what is on disk is older than what was saved, as a sentence; undefined when no write has failed since. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** It is written from now on, until that works or a newer one is saved. */
  save(content: LastGood): void {
    this.#newest = content;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when the newest is on disk, or could not be written when it was tried once more. Idempotent; never rejects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    const { clock } = this.#options;
    while (this.#newest !== undefined) {
      const content = this.#newest;
      const isLast = this.#closing.signal.aborted;
      if (await this.#write(content)) {
        if (this.#newest === content) this.#newest = undefined;
      } else {
        if (isLast) break;
        await sleepUnlessAborted(clock, LAST_GOOD_RETRY_MS, this.#closing);
      }
    }
    this.#writing = undefined;
  }

  /** False: it failed. */
  async #write(content: LastGood): Promise<boolean> {
    const { file, logger } = this.#options;
    const { revision } = content;
    const isRepeated = this.#failure !== undefined;
    try {
      await file.write(content);
    } catch (error) {
      const reason = errorMessage(error);
      if (!isRepeated) {
        const what = "last good config not written; a restart while the store is away would run an older one";
        logger.error({ revision, reason }, what);
      }
      this.#fail(reason);
      return false;
    }
    if (isRepeated) logger.info({ revision }, "last good config is written again");
    this.#fail(undefined);
    return true;
  }

  #fail(failure: string | undefined): void {
    if (failure === this.#failure) return;
    this.#failure = failure;
    this.#options.onFailure();
  }
}
