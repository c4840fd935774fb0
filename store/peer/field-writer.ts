import { crc32c } from "@node-rs/crc32";
import { writeSafeUint64 } from "../wal/format.ts";

const SCRATCH_BYTES = 16 * 1024;
/** What is longer leaves in the scratch itself, which saves a copy. */
const COPIED_BYTES_MAX = 64 * 1024;

/** Lays fields one behind another, little-endian, in memory that grows with them. */
export class FieldWriter {
  readonly #scratchBytes: number;
  #scratch = Buffer.alloc(0);
  #at = 0;

  /** `scratchBytes`: what fits without a growth, which would copy what is there. */
  constructor({ scratchBytes = SCRATCH_BYTES }: { readonly scratchBytes?: number } = {}) {
    this.#scratchBytes = scratchBytes;
  }

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#at;
  }

  /** All that was written, in memory that is the caller's; the writer starts again. */
  take(): Buffer {
    const written = this.#scratch.subarray(0, this.#at);
    this.#at = 0;
    if (written.length <= COPIED_BYTES_MAX) return Buffer.from(written);
    this.#scratch = Buffer.alloc(0);
    return written;
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.#at = this.#scratch.writeUInt8(value, this.#at);
  }

  bool(value: boolean): void {
    this.uint8(value ? 1 : 0);
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#at = this.#scratch.writeUInt16LE(value, this.#at);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#at = this.#scratch.writeUInt32LE(value, this.#at);
  }

  /** A safe integer, in 64 bits. */
  safeUint64(value: number): void {
    this.#reserve(8);
    writeSafeUint64(this.#scratch, value, this.#at);
    this.#at += 8;
  }

  uint64(value: bigint): void {
    this.#reserve(8);
    this.#at = this.#scratch.writeBigUInt64LE(value, this.#at);
  }

  /** The bytes alone; who reads them knows how many they are. */
  bytes(value: Uint8Array): void {
    this.#reserve(value.byteLength);
    this.#scratch.set(value, this.#at);
    this.#at += value.byteLength;
  }

  /** UTF-8 behind its length in 16 bits. */
  string(value: string): void {
    const encoded = Buffer.from(value, "utf8");
    this.uint16(encoded.length);
    this.bytes(encoded);
  }

  /** Writes over 32 bits that are there. */
  patchUint32(value: number, at: number): void {
    this.#scratch.writeUInt32LE(value, at);
  }

  /** CRC32C of what was written from `at` on. */
  crcFrom(at: number, seed: number): number {
    return crc32c(this.#scratch.subarray(at, this.#at), seed);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#scratch.length, this.#scratchBytes));
    this.#scratch.copy(larger, 0, 0, this.#at);
    this.#scratch = larger;
  }
}
