import { asBuffer } from "../../base/as-buffer.ts";
import { BinaryReader } from "../proto/binary-reader.ts";
import { BinaryWriter } from "../proto/binary-writer.ts";

/** A lease as the backend keeps it. */
export interface LeaseRecord {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** From the last checkpoint; 0: the full TTL. */
  readonly remainingSeconds: number;
}

const ID_TAG = 0x08;
const TTL_TAG = 0x10;
const REMAINING_TAG = 0x18;

/** The backend key of a lease: its id in 8 bytes, big-endian, two's complement. */
export function encodeLeaseKey(id: bigint): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigInt64BE(id);
  return key;
}

/** etcd `leasepb.Lease`: ID = 1, TTL = 2, RemainingTTL = 3, all int64. */
export function encodeLease(lease: LeaseRecord): Buffer {
  const writer = new BinaryWriter().uint32(ID_TAG).int64(lease.id);
  if (lease.ttlSeconds !== 0) writer.uint32(TTL_TAG).int64(lease.ttlSeconds);
  if (lease.remainingSeconds !== 0) writer.uint32(REMAINING_TAG).int64(lease.remainingSeconds);
  return writer.finish();
}

export function decodeLease(bytes: Uint8Array): LeaseRecord {
  const reader = new BinaryReader(asBuffer(bytes));
  let id = 0n;
  let ttlSeconds = 0;
  let remainingSeconds = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ID_TAG) id = reader.int64();
    else if (tag === TTL_TAG) ttlSeconds = reader.safeInt64();
    else if (tag === REMAINING_TAG) remainingSeconds = reader.safeInt64();
    else reader.skip(tag);
  }
  return { id, ttlSeconds, remainingSeconds };
}
