import { asBuffer } from "../../base/as-buffer.ts";

/**
 * Byte strings as JavaScript strings, one char a byte. They compare with `<` as the bytes do, hash well as map keys, and
 * cost one byte a char in memory.
 */
export function latin1FromBytes(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}

/** The bytes again, in a buffer of their own. */
export function bytesFromLatin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Orders latin1 strings as their bytes are ordered. */
export function compareLatin1(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
