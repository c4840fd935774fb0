import type { Disk, DiskFile } from "../../base/disk.ts";
import { CodedError } from "../../base/errors.ts";

/** Bytes of one read, and so of one chunk of a file that is sent. */
const READ_BYTES = 256 * 1024;
/** Chunks gather to this before they are written. */
const WRITE_BYTES = 1024 * 1024;
/** A sync of the log must not wait behind a whole snapshot: it goes to the disk in parts of this. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/** The first `bytes` of a file, in chunks that are the reader's. Throws CodedError ESNAPSHOT when the file is shorter. */
export async function* readFileStream(disk: Disk, path: string, bytes: number): AsyncGenerator<Uint8Array> {
  const file = await disk.open(path, { create: false });
  try {
    for (let at = 0; at < bytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, bytes - at));
      const read = await file.read(chunk, at);
      if (read < chunk.length) {
        throw new CodedError(
          "ESNAPSHOT",
          `Cannot read snapshot ${path}: it ends after ${at + read} bytes, expected ${bytes}`,
        );
      }
      yield chunk;
      at += read;
    }
  } finally {
    await file.close();
  }
}

/** Writes a stream into a new file and syncs it; returns its length. The chunks are the disk's from then on. */
export async function writeFileStream(
  disk: Disk,
  path: string,
  body: AsyncIterable<Uint8Array>,
): Promise<number> {
  const file = await disk.open(path, { create: true });
  try {
    await file.truncate(0);
    const writer = new GatheringWriter(file);
    for await (const chunk of body) await writer.add(chunk);
    await writer.flush();
    await file.sync();
    return writer.bytes;
  } finally {
    await file.close();
  }
}

/** Small chunks go to the file together. */
class GatheringWriter {
  readonly #file: DiskFile;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #writtenBytes = 0;
  #syncedBytes = 0;

  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Bytes added. */
  get bytes(): number {
    return this.#writtenBytes + this.#gatheredBytes;
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.byteLength;
    if (this.#gatheredBytes >= WRITE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const chunks = this.#gathered;
    const bytes = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await this.#file.write(chunks, this.#writtenBytes);
    this.#writtenBytes += bytes;
    if (this.#writtenBytes - this.#syncedBytes < SYNC_EVERY_BYTES) return;
    this.#syncedBytes = this.#writtenBytes;
    await this.#file.sync();
  }
}
