import { join } from "node:path";
import type { Disk, DiskFile } from "../../base/disk.ts";
import { errorCode } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { NEXT_SEGMENT } from "./segment-name.ts";

const CHUNK_BYTES = 1024 * 1024;
/** Zeros between two syncs: a sync of the log must not wait behind a whole segment of them. */
const SYNC_EVERY_BYTES = 4 * CHUNK_BYTES;

/**
 * The next segment's file, filled with zeros in the background: a sync of bytes written over zeros changes no length
 * and allocates nothing, which halves what it costs (Node has no fallocate).
 */
export class NextSegment {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #segmentBytes: number;
  readonly #logger: Logger;
  #stop = false;
  #filling: Promise<DiskFile> | undefined;
  #isReady = false;

  constructor(options: {
    readonly disk: Disk;
    readonly folder: string;
    readonly segmentBytes: number;
    readonly logger: Logger;
  }) {
    this.#disk = options.disk;
    this.#path = join(options.folder, NEXT_SEGMENT);
    this.#segmentBytes = options.segmentBytes;
    this.#logger = options.logger;
  }

  get path(): string {
    return this.#path;
  }

  /** True when the file is full of zeros: taking it costs no wait. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Starts to fill it, if that has not begun. */
  prepare(): void {
    if (this.#filling !== undefined) return;
    this.#stop = false;
    this.#filling = this.#fill();
    // The error stays in the promise for take(); until then nobody listens.
    this.#filling.catch(() => undefined);
  }

  /**
   * The file, with as many zeros as there are by now; the caller owns it, and the next one may be prepared. Rejects
   * with the error of a failed sync.
   */
  async take(): Promise<DiskFile> {
    this.prepare();
    this.#stop = true;
    const filling = this.#filling;
    try {
      return await (filling as Promise<DiskFile>);
    } finally {
      this.#filling = undefined;
      this.#isReady = false;
    }
  }

  /** Stops filling. The file stays; the next start of the log removes it. */
  async close(): Promise<void> {
    if (this.#filling === undefined) return;
    await (await this.take()).close();
  }

  async #fill(): Promise<DiskFile> {
    const file = await this.#disk.open(this.#path, { create: true });
    try {
      await file.truncate(0);
      await this.#writeZeros(file);
      await file.sync();
      this.#isReady = !this.#stop;
    } catch (error) {
      if (errorCode(error) !== "ENOSPC") {
        await file.close();
        throw error;
      }
      this.#logger.warn({ path: this.#path }, "no space to prepare the next WAL segment");
      await file.truncate(0);
    }
    return file;
  }

  async #writeZeros(file: DiskFile): Promise<void> {
    const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, this.#segmentBytes));
    for (let at = 0; at < this.#segmentBytes && !this.#stop; at += zeros.length) {
      await file.write([zeros.subarray(0, this.#segmentBytes - at)], at);
      if ((at + zeros.length) % SYNC_EVERY_BYTES === 0) await file.sync();
    }
  }
}
