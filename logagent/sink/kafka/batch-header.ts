import { crc32c } from "@node-rs/crc32";
import type { ProducerStamp } from "../destination.ts";

/** Bytes of a record batch before its records. */
export const BATCH_HEADER_BYTES = 61;
/** Offset of the attributes: the checksum covers everything from here on. */
const CHECKED_FROM = 21;
/** Bytes that the field `batchLength` does not count: base offset, and itself. */
const UNCOUNTED_BYTES = 12;

/** Bits 0 to 2 of the attributes. */
export const COMPRESSION_CODES = { none: 0, gzip: 1, zstd: 4 } as const;
export type Compression = keyof typeof COMPRESSION_CODES;

/** No idempotence: -1 in all three. */
export const NO_PRODUCER: ProducerStamp = { producerId: -1n, epoch: -1, baseSequence: -1 };

/**
 * The header of a record batch (message format v2, KIP-98) for records that are encoded, and compressed, already. It is made
 * when the batch is sent, so that another producer id or epoch costs a checksum and no encoding.
 */
export function sealBatchHeader(batch: {
  readonly records: Uint8Array;
  readonly count: number;
  readonly compression: Compression;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly stamp: ProducerStamp;
}): Buffer {
  const { records, count, stamp } = batch;
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES);
  header.writeBigInt64BE(0n, 0); // base offset: the broker's to choose
  header.writeInt32BE(BATCH_HEADER_BYTES - UNCOUNTED_BYTES + records.length, 8);
  header.writeInt32BE(-1, 12); // partition leader epoch: likewise
  header.writeInt8(2, 16); // magic
  header.writeInt16BE(COMPRESSION_CODES[batch.compression], CHECKED_FROM);
  header.writeInt32BE(count - 1, 23); // last offset delta
  header.writeBigInt64BE(BigInt(batch.baseTimestampMs), 27);
  header.writeBigInt64BE(BigInt(batch.maxTimestampMs), 35);
  header.writeBigInt64BE(stamp.producerId, 43);
  header.writeInt16BE(stamp.epoch, 51);
  header.writeInt32BE(stamp.baseSequence, 53);
  header.writeInt32BE(count, 57);
  header.writeUInt32BE(crc32c(records, crc32c(header.subarray(CHECKED_FROM))), 17);
  return header;
}
