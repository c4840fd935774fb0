import { constants } from "node:fs";
import { access, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CodedError, errorCode } from "../../base/errors.ts";

/** Where a meta page of an LMDB 1.0 file has its magic number and data version (liblmdb mdb.c, MDB_page, MDB_meta). */
const META_MAGIC_OFFSET = 24;
const META_MAGIC = 0xbeefc0de;
const META_DATA_VERSION = 2;
const META_HEAD_BYTES = META_MAGIC_OFFSET + 8;

/**
 * Refuses, with a sentence, a path that LMDB would crash on or wait for: a folder that is not there or not writable, and
 * a file that is not LMDB's. Throws CodedError ENOENT, EACCES or EFORMAT.
 */
export async function checkLmdbFile(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = errorCode(error) ?? "EACCES";
    throw new CodedError(code, `Cannot open backend ${path}: folder ${folder} is not writable (${code})`, {
      cause: error,
    });
  }
  const head = await readHead(path);
  if (head === undefined) return;
  const expected = `expected an LMDB file of data version ${META_DATA_VERSION}`;
  if (head.length < META_HEAD_BYTES) {
    throw new CodedError("EFORMAT", `Cannot open backend ${path}: it has ${head.length} bytes, ${expected}`);
  }
  const magic = head.readUInt32LE(META_MAGIC_OFFSET);
  const version = head.readUInt32LE(META_MAGIC_OFFSET + 4);
  if (magic !== META_MAGIC) {
    throw new CodedError("EFORMAT", `Cannot open backend ${path}: magic number ${hex(magic)}, ${expected}`);
  }
  if (version !== META_DATA_VERSION) {
    throw new CodedError("EFORMAT", `Cannot open backend ${path}: LMDB data version ${version}, ${expected}`);
  }
}

/** The first bytes of a file; undefined when there is none, or an empty one. */
async function readHead(path: string): Promise<Buffer | undefined> {
  try {
    const { size } = await stat(path);
    if (size === 0) return undefined;
    await using file = await open(path, constants.O_RDWR);
    const head = Buffer.alloc(META_HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return undefined;
    throw new CodedError(code ?? "EIO", `Cannot open backend ${path}: ${code}`, { cause: error });
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
