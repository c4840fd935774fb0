import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readSync,
  rmSync,
  unlinkSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { errorCode } from "../../base/errors.ts";

const GZIP_MAGIC = "1f8b";
const ZSTD_MAGIC = "28b52ffd";
const MAGIC_BYTES = 4;
/** gzip writes the size of the content behind it, modulo 2^32. */
const GZIP_SIZE_BYTES = 4;
const GZIP_SIZE_MODULUS = 2 ** 32;
const NS_PER_SECOND = 1_000_000_000;

type Packing = "gzip" | "zstd";

/** Is this the beginning of a file that gzip or zstd has written? */
export function isCompressed(fd: number): boolean {
  return packingOf(fd) !== undefined;
}

/** May the content of a compressed file have so many bytes? By what gzip writes at the end; undefined: nothing says it. */
export function mayHaveSize(fd: number, bytes: number): boolean | undefined {
  if (packingOf(fd) !== "gzip") return undefined;
  const end = Buffer.alloc(GZIP_SIZE_BYTES);
  readSync(fd, end, 0, GZIP_SIZE_BYTES, Math.max(0, fstatSync(fd).size - GZIP_SIZE_BYTES));
  return end.readUInt32LE() === bytes % GZIP_SIZE_MODULUS;
}

/** The first bytes of the content of a compressed file, as many as there are whole. */
export function unpackedHead(
  fd: number,
  bytesMax: number,
  options: { readonly signal: AbortSignal },
): Promise<Buffer> {
  return unpackedBytes(fd, { from: 0, to: bytesMax }, options);
}

/** These bytes of the content of a compressed file, as many of them as there are whole. */
export async function unpackedBytes(
  fd: number,
  { from, to }: { readonly from: number; readonly to: number },
  options: { readonly signal: AbortSignal },
): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  let at = 0;
  const take = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      const wanted = chunk.subarray(Math.max(0, from - at), Math.max(0, to - at));
      if (wanted.byteLength > 0) bytes = Buffer.concat([bytes, wanted]);
      at += chunk.byteLength;
      if (at >= to) return;
    }
  };
  try {
    await unpackTo(fd, options, take);
  } catch (error) {
    // Leaving the rest ends what would have read it.
    if (at < to) throw error;
  }
  return bytes;
}

/**
 * The content of a compressed file as an open file without a name, which the caller closes; it was changed last at `endedAtNs`.
 * Undefined: it is not whole. Throws what the disk throws.
 */
export async function unpack(
  fd: number,
  options: {
    /** Where the content is kept for as long as it is open, and the name it has for a moment. */
    readonly folder: string;
    readonly name: string;
    readonly endedAtNs: bigint;
    readonly signal: AbortSignal;
  },
): Promise<number | undefined> {
  const content = openNameless(join(options.folder, options.name));
  let isWhole = false;
  try {
    // By a handle of its own, whose closing waits for what is being written.
    const file = await open(pathOf(content), "r+");
    try {
      isWhole = await unpackTo(fd, options, (chunks) => writeAll(file, chunks));
      const endedAtSeconds = Number(options.endedAtNs) / NS_PER_SECOND;
      if (isWhole) await file.utimes(endedAtSeconds, endedAtSeconds);
    } finally {
      await file.close();
    }
  } finally {
    if (!isWhole) closeSync(content);
  }
  return isWhole ? content : undefined;
}

/** A file that goes with its descriptor. In one turn: nobody else comes to it by its name. */
function openNameless(path: string): number {
  rmSync(path, { force: true });
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  unlinkSync(path);
  return fd;
}

async function writeAll(file: FileHandle, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) await file.writeFile(chunk);
}

/** False: it is not whole. */
async function unpackTo(
  fd: number,
  { signal }: { readonly signal: AbortSignal },
  take: (chunks: AsyncIterable<Buffer>) => Promise<void>,
): Promise<boolean> {
  const packing = packingOf(fd);
  if (packing === undefined) return false;
  try {
    const inflate = packing === "gzip" ? createGunzip() : createZstdDecompress();
    // A descriptor of its own, which the stream closes.
    await pipeline(createReadStream(pathOf(fd)), inflate, take, { signal });
    return true;
  } catch (error) {
    // It is not whole, or no such file at all; a full disk is one.
    if (isOfZlib(error)) return false;
    throw error;
  }
}

function packingOf(fd: number): Packing | undefined {
  const magic = Buffer.alloc(MAGIC_BYTES);
  const head = magic.subarray(0, readSync(fd, magic, 0, MAGIC_BYTES, 0)).toString("hex");
  if (head.startsWith(GZIP_MAGIC)) return "gzip";
  return head === ZSTD_MAGIC ? "zstd" : undefined;
}

function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function isOfZlib(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return code.startsWith("Z_") || code.startsWith("ZSTD_") || code === "ERR_STREAM_PREMATURE_CLOSE";
}
