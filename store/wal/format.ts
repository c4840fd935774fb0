import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";

/** What a disk writes whole or not at all; frames and the segment header start at multiples of it. */
export const SECTOR_BYTES = 512;

/** The newest format version of a segment, which is the one written. Version 1 is the first: there is no older one. */
export const WAL_VERSION = 1;

/** Codes of what can be wrong with a write-ahead log; each names the file, and the byte offset where there is one. */
export type WalErrorCode = "EWALCORRUPT" | "EWALVERSION" | "EWALMISMATCH" | "EWALWRITE";

export class WalError extends CodedError<WalErrorCode> {
  override readonly name = "WalError";
}

/** Refuses a segment, with the place and both values. */
export function corrupt(path: string, offset: number, found: string): WalError {
  return new WalError("EWALCORRUPT", `Cannot read WAL segment ${path}: at offset ${offset} ${found}`);
}

export function hex32(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

/** A safe integer as 64 bits, little-endian. */
export function writeSafeUint64(target: Buffer, value: number, at: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, `${value} is a safe unsigned integer`);
  target.writeUInt32LE(value % 2 ** 32, at);
  target.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** 64 bits as a number; above 2^53 it is inexact, which the CRC of what holds it rules out. */
export function readSafeUint64(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 4) * 2 ** 32 + source.readUInt32LE(at);
}

export function roundUpToSector(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

const ZERO_SECTOR = Buffer.alloc(SECTOR_BYTES);

/** True when every byte is zero; of any length. */
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    const length = Math.min(SECTOR_BYTES, bytes.length - at);
    if (bytes.compare(ZERO_SECTOR, 0, length, at, at + length) !== 0) return false;
  }
  return true;
}

/** How many sectors are all zeros; `bytes` is whole sectors. */
export function countZeroSectors(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (bytes[at] === 0 && bytes.compare(ZERO_SECTOR, 0, SECTOR_BYTES, at, at + SECTOR_BYTES) === 0)
      count += 1;
  }
  return count;
}
