import { crc32c } from "@node-rs/crc32";
import { invariant } from "../../base/invariant.ts";
import type { Entry, EntryKind, HardState } from "../raft/types.ts";
import {
  countZeroSectors,
  readSafeUint64,
  roundUpToSector,
  SECTOR_BYTES,
  writeSafeUint64,
} from "./format.ts";

/** One write's worth of log: what one `fdatasync` makes durable. */
export interface WalBatch {
  readonly hardState: HardState;
  /** Contiguous; may be empty. */
  readonly entries: readonly Entry[];
}

/** A frame's first 64 bytes (docs/file-formats.md). */
export interface FrameHeader {
  /** CRC32C of the header itself, which covers `payloadCrc`: the next frame's payload CRC is seeded with it. */
  readonly chain: number;
  /** Counts up by one over all segments. */
  readonly number: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
  readonly entryCount: number;
  /** Sectors that are all zeros because the values in them are: more of them than this is what a torn write leaves. */
  readonly zeroSectors: number;
  readonly hardState: HardState;
}

/** A frame's place in its log: what its CRCs are seeded with. */
export interface FrameSeat {
  readonly number: number;
  readonly chain: number;
  readonly salt: number;
}

export const FRAME_HEADER_BYTES = 64;
const ENTRY_HEADER_BYTES = 24;
const MAGIC = 0x6d617266;
const KINDS: readonly EntryKind[] = ["normal", "confChange"];
/** A scratch larger than this is given back after its write. */
const KEPT_SCRATCH_BYTES = 4 * 1024 * 1024;

/** Lays batches out as frames, in a buffer that it uses again: a frame's bytes hold until the next `encode`. */
export class FrameEncoder {
  #scratch = Buffer.alloc(0);

  encode(batch: WalBatch, seat: FrameSeat): { readonly bytes: Buffer; readonly chain: number } {
    const payloadBytes = batch.entries.reduce(
      (sum, entry) => sum + ENTRY_HEADER_BYTES + entry.data.byteLength,
      0,
    );
    const frameBytes = FRAME_HEADER_BYTES + payloadBytes;
    const bytes = this.#take(roundUpToSector(frameBytes));
    let at = FRAME_HEADER_BYTES;
    for (const entry of batch.entries) at = writeEntry(bytes, entry, at);
    bytes.fill(0, frameBytes);
    writeHeader(bytes, batch, { seat, payloadBytes });
    return { bytes, chain: bytes.readUInt32LE(4) };
  }

  #take(length: number): Buffer {
    if (this.#scratch.length > KEPT_SCRATCH_BYTES) this.#scratch = Buffer.alloc(0);
    if (this.#scratch.length < length) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#scratch.length));
    }
    return this.#scratch.subarray(0, length);
  }
}

/** The header in a frame's first sector; undefined when its magic or its CRC is not that of a frame of this segment. */
export function decodeFrameHeader(sector: Buffer, salt: number): FrameHeader | undefined {
  if (sector.length < FRAME_HEADER_BYTES || sector.readUInt32LE(0) !== MAGIC) return undefined;
  const chain = sector.readUInt32LE(4);
  if (headerCrc(sector, salt) !== chain) return undefined;
  return {
    chain,
    number: readSafeUint64(sector, 8),
    payloadBytes: sector.readUInt32LE(16),
    payloadCrc: sector.readUInt32LE(20),
    entryCount: sector.readUInt32LE(24),
    zeroSectors: sector.readUInt32LE(28),
    hardState: {
      term: readSafeUint64(sector, 32),
      vote: sector.readBigUInt64LE(40),
      commit: readSafeUint64(sector, 48),
    },
  };
}

/** The entries in a payload whose CRC is right; their data are parts of `payload`. */
export function* decodeEntries(payload: Buffer, entryCount: number): Generator<Entry> {
  let at = 0;
  for (let i = 0; i < entryCount; i += 1) {
    const dataBytes = payload.readUInt32LE(at);
    const kind = KINDS[payload.readUInt32LE(at + 4)];
    invariant(kind !== undefined, `entry kind ${payload.readUInt32LE(at + 4)} in a checked frame is known`);
    const data = payload.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + dataBytes);
    yield { term: readSafeUint64(payload, at + 8), index: readSafeUint64(payload, at + 16), kind, data };
    at += ENTRY_HEADER_BYTES + dataBytes;
  }
  invariant(at === payload.length, `${entryCount} entries fill ${payload.length} bytes, found ${at}`);
}

/** CRC32C of a payload behind the frame with CRC `chain`. */
export function payloadCrc(payload: Uint8Array, chain: number): number {
  return crc32c(payload, chain);
}

/** Bytes that a frame takes on disk. */
export function paddedFrameBytes(payloadBytes: number): number {
  return roundUpToSector(FRAME_HEADER_BYTES + payloadBytes);
}

/** True when the part of a file behind `sector`'s start looks like a frame of this segment. */
export function startsFrame(sector: Buffer, salt: number): boolean {
  return sector.length === SECTOR_BYTES && decodeFrameHeader(sector, salt) !== undefined;
}

function writeEntry(target: Buffer, entry: Entry, at: number): number {
  target.writeUInt32LE(entry.data.byteLength, at);
  target.writeUInt32LE(KINDS.indexOf(entry.kind), at + 4);
  writeSafeUint64(target, entry.term, at + 8);
  writeSafeUint64(target, entry.index, at + 16);
  target.set(entry.data, at + ENTRY_HEADER_BYTES);
  return at + ENTRY_HEADER_BYTES + entry.data.byteLength;
}

function writeHeader(
  bytes: Buffer,
  batch: WalBatch,
  frame: { readonly seat: FrameSeat; readonly payloadBytes: number },
): void {
  const payload = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame.payloadBytes);
  bytes.fill(0, 0, FRAME_HEADER_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  writeSafeUint64(bytes, frame.seat.number, 8);
  bytes.writeUInt32LE(frame.payloadBytes, 16);
  bytes.writeUInt32LE(payloadCrc(payload, frame.seat.chain), 20);
  bytes.writeUInt32LE(batch.entries.length, 24);
  bytes.writeUInt32LE(countZeroSectors(bytes), 28);
  writeSafeUint64(bytes, batch.hardState.term, 32);
  bytes.writeBigUInt64LE(batch.hardState.vote, 40);
  writeSafeUint64(bytes, batch.hardState.commit, 48);
  bytes.writeUInt32LE(headerCrc(bytes, frame.seat.salt), 4);
}

function headerCrc(sector: Buffer, salt: number): number {
  return crc32c(sector.subarray(8, FRAME_HEADER_BYTES), salt);
}
