import { asBuffer } from "../../base/as-buffer.ts";
import type { Bytes, KeyRange } from "./operations.ts";

const ZERO = Buffer.from([0]);
const EMPTY = Buffer.alloc(0);

/** A view of the same bytes; text is encoded. */
export function toBuffer(bytes: Bytes): Buffer {
  return typeof bytes === "string" ? Buffer.from(bytes, "utf8") : asBuffer(bytes);
}

/** `key` and `range_end` of a request (rpc.proto RangeRequest); an empty key as a prefix, or as a start, is every key. */
export function keyRange(key: Bytes, range: KeyRange): { key: Buffer; rangeEnd: Buffer } {
  const start = toBuffer(key);
  if (range.rangeEnd !== undefined) return { key: start, rangeEnd: toBuffer(range.rangeEnd) };
  if (!range.prefix && !range.fromKey) return { key: start, rangeEnd: EMPTY };
  if (start.length === 0) return { key: ZERO, rangeEnd: ZERO };
  return { key: start, rangeEnd: range.prefix ? prefixEnd(start) : ZERO };
}

/** The first key after all that start with `prefix`; "\0" (no end) when every byte of it is 0xff. */
export function prefixEnd(prefix: Uint8Array): Buffer {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last] as number;
    if (byte === 0xff) continue;
    const end = Buffer.from(prefix.subarray(0, last + 1));
    end[last] = byte + 1;
    return end;
  }
  return ZERO;
}
