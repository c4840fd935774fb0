import type { DiskFile } from "../../base/disk.ts";
import { countZeroSectors, hex32, isZero, SECTOR_BYTES } from "./format.ts";
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameSeat,
  paddedFrameBytes,
  payloadCrc,
  startsFrame,
} from "./frame.ts";

const WINDOW_BYTES = 1024 * 1024;

/**
 * What stands at a position of a segment. "blank": a sector of zeros, or the end of the file. "torn": a frame that a
 * crash in the middle of its write explains. "damaged": one that it does not.
 */
export type FrameRead =
  | { readonly kind: "frame"; readonly header: FrameHeader; readonly payload: Buffer; readonly end: number }
  | { readonly kind: "blank" }
  | { readonly kind: "torn"; readonly found: string }
  | { readonly kind: "damaged"; readonly found: string };

/** Reads one segment forward through a window, so that small frames do not cost a read each. */
export class SegmentReader {
  readonly #file: DiskFile;
  #window = Buffer.alloc(0);
  #windowStart = 0;

  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Up to `length` bytes at `position`, fewer only at the end of the file; they hold until the next call. */
  async view(position: number, length: number): Promise<Buffer> {
    return this.#inWindow(position, length) ?? (await this.#move(position, length));
  }

  /** The frame at `position`, which must be the one for `seat`. */
  async frame(position: number, seat: FrameSeat): Promise<FrameRead> {
    const sector = this.#inWindow(position, SECTOR_BYTES) ?? (await this.#move(position, SECTOR_BYTES));
    if (isZero(sector)) return { kind: "blank" };
    if (sector.length < SECTOR_BYTES) {
      return { kind: "torn", found: `the file ends ${sector.length} bytes into a frame` };
    }
    const header = decodeFrameHeader(sector, seat.salt);
    if (header === undefined) {
      return {
        kind: "damaged",
        found: `there is no frame header with a right CRC32C, expected frame ${seat.number}`,
      };
    }
    if (header.number !== seat.number) {
      return { kind: "damaged", found: `there is frame ${header.number}, expected frame ${seat.number}` };
    }
    return this.#checkPayload(position, header, seat.chain);
  }

  async #checkPayload(position: number, header: FrameHeader, chain: number): Promise<FrameRead> {
    const frameBytes = paddedFrameBytes(header.payloadBytes);
    const bytes = this.#inWindow(position, frameBytes) ?? (await this.#move(position, frameBytes));
    if (bytes.length < frameBytes) {
      return {
        kind: "torn",
        found: `the file ends ${bytes.length} bytes into a frame of ${frameBytes}`,
      };
    }
    const payload = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.payloadBytes);
    const actual = payloadCrc(payload, chain);
    if (actual === header.payloadCrc) {
      return { kind: "frame", header, payload, end: position + frameBytes };
    }
    const found = `frame ${header.number} has CRC32C ${hex32(actual)}, expected ${hex32(header.payloadCrc)}`;
    return { kind: countZeroSectors(bytes) > header.zeroSectors ? "torn" : "damaged", found };
  }

  /**
   * What is behind `position`, sector by sector: where the first byte that is not zero stands in, and where the first
   * sector that starts a frame of this segment. Undefined: nowhere.
   */
  async scan(
    position: number,
    salt: number,
  ): Promise<{ readonly data: number | undefined; readonly frame: number | undefined }> {
    let data: number | undefined;
    for (let start = position; ; start += WINDOW_BYTES) {
      const window = await this.view(start, WINDOW_BYTES);
      if (!isZero(window)) {
        for (let at = 0; at < window.length; at += SECTOR_BYTES) {
          const sector = window.subarray(at, at + SECTOR_BYTES);
          if (isZero(sector)) continue;
          data ??= start + at;
          if (startsFrame(sector, salt)) return { data, frame: start + at };
        }
      }
      if (window.length < WINDOW_BYTES) return { data, frame: undefined };
    }
  }

  #inWindow(position: number, length: number): Buffer | undefined {
    const start = position - this.#windowStart;
    return start < 0 || start + length > this.#window.length
      ? undefined
      : this.#window.subarray(start, start + length);
  }

  async #move(position: number, length: number): Promise<Buffer> {
    const rest = Math.max(0, (await this.#file.size()) - position);
    const target = Buffer.allocUnsafeSlow(Math.min(rest, Math.max(length, WINDOW_BYTES)));
    const bytes = await this.#file.read(target, position);
    this.#window = target.subarray(0, bytes);
    this.#windowStart = position;
    return this.#window.subarray(0, length);
  }
}
