import type { EncodedRange } from "../apply/types.ts";
import { BinaryWriter } from "../proto/binary-writer.ts";

/** Key byte of RangeResponse.kvs (field 2, length-delimited). */
const KVS_TAG = 0x12;
const MORE_KEY = 3 << 3;
const COUNT_KEY = 4 << 3;

/**
 * A RangeResponse without its header, spliced from records that are marshalled already: one copy of each record and no
 * decoding (rpc.proto RangeResponse). The result is the caller's.
 */
export function encodeRangeResponse(range: Omit<EncodedRange, "revision">): Buffer {
  const tail = new BinaryWriter();
  if (range.more) tail.uint32(MORE_KEY).bool(true);
  if (range.count !== 0) tail.uint32(COUNT_KEY).int64(range.count);
  return Buffer.concat([encodeMessages(KVS_TAG, range.kvs), tail.finish()]);
}

/** A repeated message field, from messages that are marshalled already. `tag` is its key, below 0x80. */
export function encodeMessages(tag: number, messages: readonly Uint8Array[]): Buffer {
  let total = 0;
  for (const message of messages) total += 1 + varintBytes(message.length) + message.length;
  const target = Buffer.allocUnsafe(total);
  let at = 0;
  for (const message of messages) {
    target[at++] = tag;
    let length = message.length;
    while (length >= 0x80) {
      target[at++] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    target[at++] = length;
    target.set(message, at);
    at += message.length;
  }
  return target;
}

/** Bytes of a length below 2^32 as a varint. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
