import { invariant } from "../../base/invariant.ts";

const TWO_32 = 2 ** 32;

/** A safe integer as 8 bytes, big-endian, as etcd writes its numbers into the backend. */
export function writeUint64(target: Buffer, offset: number, value: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), offset);
  target.writeUInt32BE(value >>> 0, offset + 4);
}

/** The number again; one above 2^53 is a broken invariant, as none was ever written. */
export function readUint64(source: Buffer, offset: number): number {
  const value = source.readUInt32BE(offset) * TWO_32 + source.readUInt32BE(offset + 4);
  if (!Number.isSafeInteger(value)) invariant(false, `${value} in the backend is a safe integer`);
  return value;
}
