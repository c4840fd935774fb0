import { CodedError } from "../../base/errors.ts";

const SCRATCH_BYTES = 16 * 1024;
/** A scratch buffer that one large message made grow beyond this is not kept. */
const SCRATCH_KEPT_BYTES_MAX = 1024 * 1024;
/** Below this a byte loop is faster than a call to copy. */
const LOOP_BYTES_MAX = 24;
const TWO_32 = 2 ** 32;

const EMPTY = Buffer.alloc(0);
const words = new DataView(new ArrayBuffer(8));

/** The scratch buffer of the next writer; a writer owns it from its constructor to finish(). */
let freeScratch: Buffer | undefined;

/**
 * Writes protobuf's wire format, as the generated encoders ask for it (protobuf.dev, "Encoding"). One message a writer:
 * `finish()` ends it. Throws CodedError PROTO_RANGE for an integer that its field cannot hold.
 */
export class BinaryWriter {
  #scratch: Buffer;
  #pos = 0;
  readonly #forks: number[] = [];

  constructor() {
    this.#scratch = freeScratch ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    freeScratch = undefined;
  }

  /** The message in a buffer of its own, which is the caller's. */
  finish(): Buffer {
    const result = Buffer.allocUnsafe(this.#pos);
    this.#scratch.copy(result, 0, 0, this.#pos);
    if (this.#scratch.length <= SCRATCH_KEPT_BYTES_MAX) freeScratch = this.#scratch;
    this.#scratch = EMPTY;
    this.#pos = 0;
    return result;
  }

  /** Begins a length-delimited part; join() ends it and puts its length before it. */
  fork(): this {
    this.#reserve(1);
    this.#forks.push(++this.#pos); // one byte for the length, which most parts need
    return this;
  }

  join(): this {
    const start = this.#forks.pop();
    if (start === undefined) throw new Error("BinaryWriter.join() without fork()");
    const length = this.#pos - start;
    const extra = varintBytes(length) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#scratch.copyWithin(start + extra, start, this.#pos);
    }
    this.#pos = start - 1;
    this.#varint32(length);
    this.#pos += length;
    return this;
  }

  uint32(value: number): this {
    if (value >>> 0 !== value) throw outOfRange("uint32", value);
    this.#reserve(5);
    this.#varint32(value);
    return this;
  }

  int32(value: number): this {
    if ((value | 0) !== value) throw outOfRange("int32", value);
    this.#reserve(10);
    if (value >= 0) this.#varint32(value);
    else this.#varint64(value >>> 0, 0xffffffff);
    return this;
  }

  bool(value: boolean): this {
    this.#reserve(1);
    this.#scratch[this.#pos++] = value ? 1 : 0;
    return this;
  }

  /** A safe integer, or any bigint of 64 bits with sign. */
  int64(value: number | bigint): this {
    this.#reserve(10);
    if (typeof value === "bigint") {
      words.setBigInt64(0, value, true);
      if (words.getBigInt64(0, true) !== value) throw outOfRange("int64", value);
      this.#varint64(words.getUint32(0, true), words.getUint32(4, true));
      return this;
    }
    if (!Number.isSafeInteger(value)) throw outOfRange("int64", value);
    this.#varint64(value >>> 0, Math.floor(value / TWO_32) >>> 0);
    return this;
  }

  /** A safe integer, or any bigint of 64 bits without sign. */
  uint64(value: number | bigint): this {
    this.#reserve(10);
    if (typeof value === "bigint") {
      words.setBigUint64(0, value, true);
      if (words.getBigUint64(0, true) !== value) throw outOfRange("uint64", value);
      this.#varint64(words.getUint32(0, true), words.getUint32(4, true));
      return this;
    }
    if (!Number.isSafeInteger(value) || value < 0) throw outOfRange("uint64", value);
    this.#varint64(value >>> 0, Math.floor(value / TWO_32));
    return this;
  }

  /** Copies the bytes, which stay the caller's. */
  bytes(value: Uint8Array): this {
    const { length } = value;
    this.#reserve(length + 5);
    this.#varint32(length);
    if (length <= LOOP_BYTES_MAX) {
      for (let i = 0; i < length; i++) this.#scratch[this.#pos + i] = value[i]!;
    } else {
      this.#scratch.set(value, this.#pos);
    }
    this.#pos += length;
    return this;
  }

  string(value: string): this {
    const length = Buffer.byteLength(value);
    this.#reserve(length + 5);
    this.#varint32(length);
    this.#scratch.write(value, this.#pos, "utf8");
    this.#pos += length;
    return this;
  }

  #reserve(bytes: number): void {
    const needed = this.#pos + bytes;
    if (needed <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(SCRATCH_BYTES, needed, this.#scratch.length * 2));
    this.#scratch.copy(larger, 0, 0, this.#pos);
    this.#scratch = larger;
  }

  #varint32(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#scratch[this.#pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#scratch[this.#pos++] = rest;
  }

  /** Both halves unsigned. */
  #varint64(low: number, high: number): void {
    let lowRest = low;
    let highRest = high;
    while (highRest > 0) {
      this.#scratch[this.#pos++] = (lowRest & 0x7f) | 0x80;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    this.#varint32(lowRest);
  }
}

/** Bytes of a length below 2^32 as a varint. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function outOfRange(type: string, value: number | bigint): CodedError<"PROTO_RANGE"> {
  return new CodedError("PROTO_RANGE", `Cannot encode protobuf message: ${value} does not fit ${type}`);
}
