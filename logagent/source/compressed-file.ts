import { closeSync, constants, createReadStream, openSync, readSync, rmSync, unlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { errorCode } from "../../base/errors.ts";
import { foldersOf } from "../checkpoint/gone-records.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { holdsFurthest, holdsShipped } from "./file-hash.ts";
import type { FolderIndex } from "./folder-index.ts";
import { keyOf } from "./tailed-file.ts";

const COMPRESSED_NAME = /\.(gz|zst)$/;
const GZIP_MAGIC = "1f8b";
const ZSTD_MAGIC = "28b52ffd";
const MAGIC_BYTES = 4;
/** Logs of one program begin alike: what is known by fewer bytes may be another file's. */
const KNOWN_BYTES_MIN = 64;

/** Is this the beginning of a file that gzip or zstd has written? */
export function isCompressed(fd: number): boolean {
  const magic = Buffer.alloc(MAGIC_BYTES);
  const head = magic.subarray(0, readSync(fd, magic, 0, MAGIC_BYTES, 0)).toString("hex");
  return head.startsWith(GZIP_MAGIC) || head === ZSTD_MAGIC;
}

/** Is enough known of a file to tell what it has become by its content alone? */
export function isTellable({ fingerprint }: Pick<CheckpointRecord, "fingerprint">): boolean {
  return fingerprint.length >= KNOWN_BYTES_MIN;
}

/** Compressed files beside the one of a record, of which it may be one, with their identities. */
export async function compressedBeside(
  record: CheckpointRecord,
  index: FolderIndex,
): Promise<readonly { readonly path: string; readonly key: string }[]> {
  const { folders } = await index.look(dirname(record.path));
  const found: { path: string; key: string }[] = [];
  for (const folder of new Set([...foldersOf(record), ...folders])) {
    for (const [ino, { path, dev }] of (await index.look(folder)).files) {
      if (COMPRESSED_NAME.test(path)) found.push({ path, key: keyOf({ dev, ino }) });
    }
  }
  return found;
}

/**
 * The content of a compressed file as an open file without a name, when it is the one of the record: it begins with what was
 * shipped. Undefined when it is another's, or not whole. The caller closes it. Throws what the disk throws.
 */
export async function unpacked(
  path: string,
  record: CheckpointRecord,
  options: { readonly folder: string; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const fd = openNameless(join(options.folder, `unpacked-${record.id}`));
  let isOurs = false;
  try {
    await unpackInto(fd, path, options.signal);
    isOurs = holdsShipped(fd, record) && holdsFurthest(fd, record);
  } catch (error) {
    // It is not whole, or no such file at all; a full disk is one.
    if (!isOfZlib(error)) throw error;
  } finally {
    if (!isOurs) closeSync(fd);
  }
  return isOurs ? fd : undefined;
}

/** A file that goes with its descriptor. In one turn: nobody else comes to it by its name. */
function openNameless(path: string): number {
  rmSync(path, { force: true });
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  unlinkSync(path);
  return fd;
}

async function unpackInto(fd: number, path: string, signal: AbortSignal): Promise<void> {
  // By a handle of its own, whose closing waits for what is being written.
  const file = await open(`/proc/self/fd/${fd}`, "r+");
  try {
    const inflate = path.endsWith(".gz") ? createGunzip() : createZstdDecompress();
    const write = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await file.writeFile(chunk);
    };
    await pipeline(createReadStream(path), inflate, write, { signal });
  } finally {
    await file.close();
  }
}

function isOfZlib(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return code.startsWith("Z_") || code.startsWith("ZSTD_") || code === "ERR_STREAM_PREMATURE_CLOSE";
}
