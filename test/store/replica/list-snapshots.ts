import { join } from "node:path";
import type { Disk } from "../../../base/disk.ts";
import type { SnapshotMeta } from "../../../store/raft/types.ts";
import type { OutgoingSnapshot, SnapshotStore } from "../../../store/replica/snapshot-exchange.ts";
import { readFileStream, writeFileStream } from "../../../store/snap/file-stream.ts";
import { readWalStart } from "../../../store/wal/open-log.ts";
import type { ListImage, ListState } from "../../support/list-state.ts";

const CHUNK_BYTES = 100;

/** Snapshots of a list: images of it, kept in files. */
export class ListSnapshots implements SnapshotStore {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #state: ListState;
  /** Copies that were made and not let go of. */
  copies = 0;

  constructor({
    disk,
    folder,
    state,
  }: { readonly disk: Disk; readonly folder: string; readonly state: ListState }) {
    this.#disk = disk;
    this.#folder = folder;
    this.#state = state;
  }

  async make(): Promise<OutgoingSnapshot> {
    await this.#state.flush();
    const { image } = this.#state;
    const { index, term, confState } = image;
    const bytes = encode(image);
    let isRemoved = false;
    this.copies += 1;
    return {
      meta: { index, term, confState },
      content: { bytes: bytes.length, body: chunks(bytes) },
      remove: async () => {
        if (!isRemoved) this.copies -= 1;
        isRemoved = true;
      },
    };
  }

  async receive(meta: SnapshotMeta, body: AsyncIterable<Uint8Array>): Promise<void> {
    const part = join(this.#folder, "received.part");
    await writeFileStream(this.#disk, part, body);
    await this.#disk.rename(part, join(this.#folder, fileName(meta)));
    await this.#disk.syncFolder(this.#folder);
  }

  async forget(meta: SnapshotMeta): Promise<void> {
    await this.#disk.remove(join(this.#folder, fileName(meta)));
  }

  async install(meta: SnapshotMeta): Promise<void> {
    const path = join(this.#folder, fileName(meta));
    const image = await readImage(this.#disk, path);
    // The moment of truth: with the power gone there is none.
    await this.#disk.syncFolder(this.#folder);
    this.#state.install(image);
    await this.#disk.remove(path);
  }
}

/**
 * What a state begins with: what it had flushed or, when the log begins behind that already, the snapshot that the log
 * begins behind.
 */
export async function recoverImage(
  disk: Disk,
  folders: { readonly wal: string; readonly snapshots: string },
  image: ListImage,
): Promise<ListImage> {
  await disk.makeFolder(folders.snapshots);
  const start = await readWalStart({ disk, folder: folders.wal });
  if (start === undefined || start.after.index <= image.index) return image;
  return readImage(disk, join(folders.snapshots, fileName(start.after)));
}

function fileName({ index, term }: { readonly index: number; readonly term: number }): string {
  return `${index}-${term}.list`;
}

async function readImage(disk: Disk, path: string): Promise<ListImage> {
  const file = await disk.open(path, { create: false });
  const bytes = await file.size();
  await file.close();
  const read: Uint8Array[] = [];
  for await (const chunk of readFileStream(disk, path, bytes)) read.push(chunk);
  return decode(Buffer.concat(read));
}

async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

function encode(image: ListImage): Buffer {
  return Buffer.from(JSON.stringify(image, (_, value) => (typeof value === "bigint" ? `${value}n` : value)));
}

function decode(bytes: Buffer): ListImage {
  return JSON.parse(bytes.toString(), (_, value) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  );
}
