import { hash } from "node:crypto";
import { readSync } from "node:fs";
import type { BytesHash, CheckpointRecord } from "../checkpoint/record.ts";

/** The head of a file that tells it from others. */
export const FINGERPRINT_BYTES = 1024;
/** What must match before the offset, to go on there. */
export const TAIL_BYTES = 4096;
const HASH_HEX_DIGITS = 16;

const scratch = Buffer.allocUnsafeSlow(TAIL_BYTES);

/** The hash of some bytes. */
export function hashOf(bytes: Buffer): BytesHash {
  return { length: bytes.byteLength, hash: digest(bytes) };
}

/** Are these the bytes that were hashed? */
export function isSameBytes(expected: BytesHash, bytes: Buffer): boolean {
  if (expected.length === 0) return true;
  return bytes.byteLength === expected.length && digest(bytes) === expected.hash;
}

/** The hash of the TAIL_BYTES before `offset`, or of all when there are fewer. Throws what `read` throws. */
export function hashBefore(fd: number, offset: number): BytesHash {
  const length = Math.min(TAIL_BYTES, offset);
  return hashOf(bytesAt(fd, offset - length, length));
}

/** The hash of the first FINGERPRINT_BYTES, or of all when there are fewer. Throws what `read` throws. */
export function hashHead(fd: number): BytesHash {
  return hashOf(bytesAt(fd, 0, FINGERPRINT_BYTES));
}

/**
 * The hash of the first `length` bytes, at most FINGERPRINT_BYTES, or of all when there are fewer; undefined when they do not
 * begin with the `known` ones. Throws what `read` throws.
 */
export function longerHead(fd: number, known: BytesHash, length: number): BytesHash | undefined {
  const bytes = bytesAt(fd, 0, length);
  return isSameBytes(known, bytes.subarray(0, known.length)) ? hashOf(bytes) : undefined;
}

/** Does an open file still hold what was shipped of it: the head, and the bytes before `offset`? */
export function holdsShipped(
  fd: number,
  shipped: Pick<CheckpointRecord, "fingerprint" | "offset" | "tail">,
): boolean {
  const { fingerprint, offset, tail } = shipped;
  return holds(fd, tail, offset - tail.length) && holds(fd, fingerprint, 0);
}

/** Does an open file still hold what was sent of it, or seen, beyond what is acknowledged? */
export function holdsFurthest(fd: number, { furthest }: Pick<CheckpointRecord, "furthest">): boolean {
  return furthest === undefined || holds(fd, furthest.tail, furthest.to - furthest.tail.length);
}

function holds(fd: number, expected: BytesHash, position: number): boolean {
  if (expected.length === 0) return true;
  return isSameBytes(expected, bytesAt(fd, position, expected.length));
}

/**
 * So many bytes, or fewer at the end of the file; valid until the next call. A read that stops short may have come to a page
 * that cannot be read: only the next one tells that from the end. Throws what `read` throws.
 */
function bytesAt(fd: number, position: number, length: number): Buffer {
  for (let end = 0; ; ) {
    const got = readSync(fd, scratch, end, length - end, position + end);
    end += got;
    if (got === 0 || end === length) return scratch.subarray(0, end);
  }
}

function digest(bytes: Buffer): string {
  return bytes.byteLength === 0 ? "" : hash("sha256", bytes, "hex").slice(0, HASH_HEX_DIGITS);
}
