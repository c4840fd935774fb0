import { join } from "node:path";
import type { SharedDisk, SharedFile } from "../../base/disk.ts";
import { CodedError, errorCode, errorMessage } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { SharedPromise } from "../../base/shared-promise.ts";
import { cutTornLine } from "../../base/torn-line.ts";
import {
  type Batch,
  DeliveryError,
  type Destination,
  type SendTarget,
  type TopicInfo,
} from "./destination.ts";
import { LineBatch, lineTopic, newLineBatch, newlineBytes } from "./line-batch.ts";
import { topicFileName } from "./topic-file-name.ts";

/** What is written and synced at a time. */
const BATCH_BYTES_MAX = 1024 * 1024;
const CHANGED = "EREPLACED";

interface OpenFile {
  readonly file: SharedFile;
  /** Length that is synced; the next batch is written here, also when it is tried again. */
  syncedBytes: number;
}

/**
 * One file for each topic in a folder: `<folder>/<topic>.log`, each line with a newline, synced before it is acknowledged. A
 * last line without a newline is what a crash left of a write that was never acknowledged: it is cut off when the file is
 * opened, and its lines are sent again. The file must have no other writer. One that is removed, renamed or truncated is
 * noticed before lines are acknowledged: they are written to a new file at the path, perhaps for the second time.
 */
export class FileDestination implements Destination {
  readonly newBatch = newLineBatch;
  readonly lineOverheadBytes = newlineBytes;
  readonly #folder: string;
  readonly #disk: SharedDisk;
  readonly #files = new Map<string, SharedPromise<OpenFile>>();
  /** Lengths of files that had to be opened again. */
  readonly #syncedBytes = new Map<string, number>();
  #isClosed = false;

  constructor(options: { readonly folder: string; readonly disk: SharedDisk }) {
    this.#folder = options.folder;
    this.#disk = options.disk;
  }

  async describe(topic: string): Promise<TopicInfo> {
    await this.#file(topic);
    return lineTopic(topic, BATCH_BYTES_MAX);
  }

  async send(target: SendTarget, batch: Batch): Promise<void> {
    invariant(batch instanceof LineBatch, "a file sink sends the batches it made");
    const open = await this.#intactFile(target.topic);
    try {
      await open.file.write([batch.bytes], open.syncedBytes);
      await open.file.sync();
      const endBytes = open.syncedBytes + batch.bytes.length;
      if (!(await open.file.isAtItsPath()) || (await open.file.size()) < endBytes) throw changed();
      open.syncedBytes = endBytes;
    } catch (error) {
      // After a failed sync the state of the pages is unknown: the file is opened afresh, and the batch, which is still
      // here, is written again at the same place.
      await this.#letGo(target.topic, open);
      throw this.#failure("write", target.topic, error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const files = [...this.#files.values()].map((shared) => shared.take());
    // One that cannot be opened has nothing to close.
    for (const opened of await Promise.allSettled(files)) {
      if (opened.status === "fulfilled") await opened.value?.file.close();
    }
  }

  /** The file as it was left by the batch before; opened afresh when somebody else has changed it. */
  async #intactFile(topic: string): Promise<OpenFile> {
    const open = await this.#file(topic);
    try {
      if ((await open.file.isAtItsPath()) && (await open.file.size()) >= open.syncedBytes) return open;
    } catch (error) {
      throw this.#failure("look at", topic, error);
    }
    await this.#letGo(topic, open);
    return await this.#file(topic);
  }

  /** Whatever is at the path by then is opened next. */
  async #letGo(topic: string, open: OpenFile): Promise<void> {
    const isHere = await open.file.isAtItsPath().catch(() => true);
    // In another file, the length that was synced in this one means nothing.
    if (isHere) this.#syncedBytes.set(topic, open.syncedBytes);
    else this.#syncedBytes.delete(topic);
    await open.file.close().catch(() => undefined);
    // Last: from here on it may be opened, by the length above.
    this.#files.delete(topic);
  }

  /** The same for all who ask: two handles would overwrite what the other has written. */
  #file(topic: string): Promise<OpenFile> {
    let shared = this.#files.get(topic);
    if (shared === undefined) {
      shared = new SharedPromise(() => this.#open(topic));
      this.#files.set(topic, shared);
    }
    return shared.get();
  }

  async #open(topic: string): Promise<OpenFile> {
    try {
      await this.#disk.makeFolder(this.#folder);
      const file = await this.#disk.open(this.#path(topic), { create: true });
      try {
        const syncedBytes = await cutTornLine(file, this.#syncedBytes.get(topic));
        await this.#disk.syncFolder(this.#folder);
        if (this.#isClosed) await file.close();
        return { file, syncedBytes };
      } catch (error) {
        await file.close().catch(() => undefined);
        throw error;
      }
    } catch (error) {
      throw this.#failure("open", topic, error);
    }
  }

  #path(topic: string): string {
    return join(this.#folder, `${topicFileName(topic)}.log`);
  }

  #failure(verb: "open" | "write" | "look at", topic: string, cause: unknown): DeliveryError {
    return new DeliveryError(
      errorCode(cause) ?? "EIO",
      `Cannot ${verb} ${this.#path(topic)}: ${errorMessage(cause)}`,
      { remedy: errorCode(cause) === CHANGED ? "soon" : "slow", cause },
    );
  }
}

function changed(): CodedError<typeof CHANGED> {
  return new CodedError(
    CHANGED,
    "the file was removed, replaced or truncated meanwhile, its last lines are written again",
  );
}
