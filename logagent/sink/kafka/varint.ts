/**
 * Variable-length integers of the Kafka protocol. Records use zigzag ("varint", KIP-98 message format v2): -1 is 1, 1 is 2. Requests use
 * the plain form ("unsigned varint", KIP-482).
 */

/** Bytes that `value` (0 to 2^31 - 1) takes as a zigzag varint. */
export function varintBytes(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x2000) return 2;
  if (value < 0x10_0000) return 3;
  return value < 0x800_0000 ? 4 : 5;
}

/** Writes `value` (0 to 2^31 - 1) as a zigzag varint; returns the position behind it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let next = at;
  // value * 2 may need 32 bits: the shift is unsigned from here on.
  let rest = (value << 1) >>> 0;
  while (rest > 0x7f) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[next++] = rest;
  return next;
}

/** `value`, of either sign and up to 2^52, as a zigzag varint. */
export function varlong(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Bytes that `value` (0 to 2^31 - 1) takes as an unsigned varint. */
export function unsignedVarintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Writes `value` (0 to 2^31 - 1) as an unsigned varint; returns the position behind it. */
export function writeUnsignedVarint(target: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  while (rest > 0x7f) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[next++] = rest;
  return next;
}
