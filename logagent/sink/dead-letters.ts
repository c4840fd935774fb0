import { join } from "node:path";
import type { Disk, DiskFile } from "../../base/disk.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { cutTornLine } from "../../base/torn-line.ts";
import { DeliveryError } from "./destination.ts";
import type { ShippedFile } from "./port.ts";
import { topicFileName } from "./topic-file-name.ts";

/** The code of the error when a file has reached its limit. */
export const DEAD_LETTERS_FULL = "DEAD_LETTERS_FULL";

/** A line that the destination refused for good. */
export interface DeadLetter {
  readonly topic: string;
  readonly file: ShippedFile;
  /** The bytes [from, to) of the file. */
  readonly from: number;
  readonly to: number;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly code: string;
  readonly reason: string;
  /** The line, without its newline. */
  readonly bytes: Buffer;
}

/**
 * Keeps lines that are refused for good: `<folder>/<topic>.jsonl`, a JSON object for each, synced before it counts. A file never
 * grows beyond its limit: then its topic waits until somebody has taken the file away. A crash, or a sync that fails, may leave a
 * letter twice.
 */
export class DeadLetters {
  readonly #folder: string;
  readonly #disk: Disk;
  readonly #bytesMax: number;
  /** Files whose names are durable in the folder. */
  readonly #linked = new Set<string>();
  /** One at a time: they are rare. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly folder: string; readonly disk: Disk; readonly bytesMax: number }) {
    this.#folder = options.folder;
    this.#disk = options.disk;
    this.#bytesMax = options.bytesMax;
  }

  /** Durable when it resolves. Rejects with DeliveryError: at the limit, or when it cannot be written. */
  write(letter: DeadLetter): Promise<void> {
    const written = this.#last.then(() => this.#write(letter));
    this.#last = written.catch(() => undefined);
    return written;
  }

  async #write(letter: DeadLetter): Promise<void> {
    const path = join(this.#folder, `${topicFileName(letter.topic)}.jsonl`);
    const line = Buffer.from(`${JSON.stringify(fieldsOf(letter))}\n`);
    try {
      await this.#append(path, line);
    } catch (error) {
      if (error instanceof DeliveryError) throw error;
      const message = `Cannot keep a line that topic ${letter.topic} refuses in ${path}: ${errorMessage(error)}`;
      throw new DeliveryError(errorCode(error) ?? "EIO", message, { remedy: "slow", cause: error });
    }
  }

  async #append(path: string, line: Buffer): Promise<void> {
    const file = await this.#open(path);
    try {
      const size = await cutTornLine(file);
      if (size + line.length > this.#bytesMax) throw this.#full(path, size, line.length);
      await file.write([line], size);
      await file.sync();
    } finally {
      await file.close();
    }
    if (this.#linked.has(path)) return;
    await this.#disk.syncFolder(this.#folder);
    this.#linked.add(path);
  }

  /** The file may have been taken away since the last letter. */
  async #open(path: string): Promise<DiskFile> {
    try {
      return await this.#disk.open(path, { create: false });
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
    this.#linked.delete(path);
    await this.#disk.makeFolder(this.#folder);
    return await this.#disk.open(path, { create: true });
  }

  #full(path: string, size: number, wanted: number): DeliveryError {
    return new DeliveryError(
      DEAD_LETTERS_FULL,
      `Cannot keep a refused line of ${wanted} bytes: ${path} holds ${size} of at most ${this.#bytesMax} ` +
        "(sink.maxDeadLetterBytes): take the file away, and it goes on",
      { remedy: "slow" },
    );
  }
}

function fieldsOf({ topic, file, from, to, atMs, code, reason, bytes }: DeadLetter): object {
  return {
    version: 1,
    at: new Date(atMs).toISOString(),
    topic,
    ...(file.entry === undefined ? {} : { entry: file.entry }),
    ip: file.ip,
    path: file.path,
    file: file.id,
    pos: from,
    end: to,
    code,
    reason,
    bytes: bytes.toString("base64"),
  };
}
