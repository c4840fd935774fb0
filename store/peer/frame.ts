import { crc32c } from "@node-rs/crc32";
import { FieldWriter } from "./field-writer.ts";
import { PeerError } from "./peer-error.ts";

/** What a frame is; the first byte of its payload. A code is never given to another type. */
export const FRAME_TYPE = {
  /** The dialler's first frame, and the listener's answer to it. */
  hello: 1,
  answer: 2,
  message: 3,
  ping: 4,
  pong: 5,
  snapshotStart: 6,
  snapshotChunk: 7,
  snapshotEnd: 8,
  snapshotTaken: 9,
  snapshotRefused: 10,
  call: 11,
  callAnswer: 12,
  messagePart: 13,
} as const;
export type FrameType = (typeof FRAME_TYPE)[keyof typeof FRAME_TYPE];

/** A frame as it came: its type may be one that nobody knows. */
export interface Frame {
  readonly type: number;
  /** A part of memory that nobody writes to again. */
  readonly body: Buffer;
}

/**
 * Before a frame's payload: its length in 32 bits, and its CRC32C, seeded with the length. These eight bytes are the same in
 * every format version, so that two programs can tell each other their versions.
 */
export const FRAME_HEADER_BYTES = 8;
/** The longest payload of a frame, in bytes: what is longer leaves in several, so that none holds up others for long. */
export const FRAME_PAYLOAD_BYTES_MAX = 1024 * 1024;
export const FRAME_TYPE_BYTES = 1;
/** Chunks that wait to be joined; each costs more than its bytes. */
const CHUNKS_MAX = 1_024;

/** Writes one frame behind what `target` holds; `writeBody` writes what is in it. Returns the frame's bytes. */
export function writeFrame(
  target: FieldWriter,
  type: FrameType,
  writeBody?: (target: FieldWriter) => void,
): number {
  const start = target.length;
  target.uint32(0);
  target.uint32(0);
  target.uint8(type);
  writeBody?.(target);
  const payloadBytes = target.length - start - FRAME_HEADER_BYTES;
  target.patchUint32(payloadBytes, start);
  target.patchUint32(target.crcFrom(start + FRAME_HEADER_BYTES, payloadBytes), start + 4);
  return target.length - start;
}

/** One frame, in memory of its own. */
export function encodeFrame(type: FrameType, writeBody?: (target: FieldWriter) => void): Buffer {
  const target = new FieldWriter();
  writeFrame(target, type, writeBody);
  return target.take();
}

/** Finds frames in chunks as a socket gives them. It holds what arrived of one frame, and the frames not yet taken. */
export class FrameDecoder {
  /** The longest payload that is taken, in bytes; may be set at any time. */
  payloadBytesMax: number;
  /** Bytes that are looked at, and the place of the next frame in them. */
  #front: Buffer = Buffer.alloc(0);
  #at = 0;
  /** What came behind them. */
  #behind: Buffer[] = [];
  #behindBytes = 0;
  /** Bytes from #at on without which the next frame is not whole. */
  #needed = FRAME_HEADER_BYTES;

  constructor(payloadBytesMax: number) {
    this.payloadBytesMax = payloadBytesMax;
  }

  /** Bytes held, of frames that were not taken. */
  get heldBytes(): number {
    return this.#front.length - this.#at + this.#behindBytes;
  }

  /** The first bytes that are held, at most 16, for a message about bytes that are no frame. */
  get head(): Buffer {
    this.#join();
    return this.#front.subarray(this.#at, this.#at + 16);
  }

  /** The chunk must not change from now on. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#at === this.#front.length && this.#behindBytes === 0) {
      this.#front = chunk;
      this.#at = 0;
      return;
    }
    this.#behind.push(chunk);
    this.#behindBytes += chunk.length;
    if (this.#behind.length >= CHUNKS_MAX) this.#join();
  }

  /** The next whole frame. Throws PeerError EPEERFRAME; there is nothing to be found behind that. */
  next(): Frame | undefined {
    if (this.heldBytes < this.#needed) return undefined;
    if (this.#front.length - this.#at < this.#needed) this.#join();
    const payloadBytes = this.#front.readUInt32LE(this.#at);
    if (payloadBytes < FRAME_TYPE_BYTES || payloadBytes > this.payloadBytesMax) {
      throw notFrame(`expected a length from 1 to ${this.payloadBytesMax}, not ${payloadBytes}`);
    }
    const frameBytes = FRAME_HEADER_BYTES + payloadBytes;
    if (this.heldBytes < frameBytes) {
      this.#needed = frameBytes;
      return undefined;
    }
    if (this.#front.length - this.#at < frameBytes) this.#join();
    return this.#take(payloadBytes);
  }

  #take(payloadBytes: number): Frame {
    const start = this.#at + FRAME_HEADER_BYTES;
    const payload = this.#front.subarray(start, start + payloadBytes);
    const expected = this.#front.readUInt32LE(this.#at + 4);
    const actual = crc32c(payload, payloadBytes);
    if (actual !== expected) {
      throw notFrame(`expected a CRC of ${hex(expected)}, ${payloadBytes} bytes have ${hex(actual)}`);
    }
    this.#at = start + payloadBytes;
    this.#needed = FRAME_HEADER_BYTES;
    return { type: payload.readUInt8(0), body: payload.subarray(FRAME_TYPE_BYTES) };
  }

  #join(): void {
    if (this.#behind.length === 0) return;
    this.#front = Buffer.concat([this.#front.subarray(this.#at), ...this.#behind]);
    this.#at = 0;
    this.#behind = [];
    this.#behindBytes = 0;
  }
}

function notFrame(reason: string): PeerError {
  return new PeerError("EPEERFRAME", `Cannot read frame: ${reason}`);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
