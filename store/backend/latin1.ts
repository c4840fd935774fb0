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

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
