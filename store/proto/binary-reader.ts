import { isUtf8 } from "node:buffer";
import { asBuffer } from "../../base/as-buffer.ts";
import { CodedError } from "../../base/errors.ts";

/** What an absent bytes field decodes to. Shared by all messages; there is nothing in it to change. */
export const EMPTY_BYTES: Buffer = Buffer.alloc(0);

const GROUP_DEPTH_MAX = 100;
const TWO_32 = 2 ** 32;

const words = new DataView(new ArrayBuffer(8));

/**
 * Reads protobuf's wire format, as the generated decoders ask for it (protobuf.dev, "Encoding").
 *
 * `bytes()` gives views: a decoded message shares memory with its input, which must not change while the message is in
 * use, and lives as long as any of its fields. Who keeps one small field for long copies it.
 *
 * Throws CodedError PROTO_MALFORMED where the input is not a message.
 */
export class BinaryReader {
  readonly buf: Buffer;
  readonly len: number;
  pos = 0;
  /** The generated decoders count their nesting here, and refuse more than 100 levels. */
  __tsProtoDecodeDepth = 0;
  #low = 0;
  #high = 0;

  constructor(input: Uint8Array) {
    this.buf = asBuffer(input);
    this.len = input.length;
  }

  /** The low 32 bits of a varint. */
  uint32(): number {
    const first = this.buf[this.pos]!;
    if (first < 0x80) {
      this.pos++;
      return first;
    }
    this.#varint();
    return this.#low;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  int64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    this.#fillWords();
    return words.getBigInt64(0, true);
  }

  uint64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    this.#fillWords();
    return words.getBigUint64(0, true);
  }

  /**
   * An int64 as a number. Outside the safe integers it gives the nearest safe one: no counter of the store gets there, so
   * that a limit or revision of 2^63 - 1, which clients do send, keeps its meaning.
   */
  safeInt64(): number {
    const first = this.buf[this.pos]!;
    if (first < 0x80) {
      this.pos++;
      return first;
    }
    this.#varint();
    return nearestSafe((this.#high | 0) * TWO_32 + this.#low);
  }

  /** A uint64 as a number; above the safe integers, the greatest of them. */
  safeUint64(): number {
    this.#varint();
    return nearestSafe(this.#high * TWO_32 + this.#low);
  }

  /** A view of the input. */
  bytes(): Buffer {
    const length = this.uint32();
    if (length === 0) return EMPTY_BYTES;
    const start = this.#advance(length);
    return this.buf.subarray(start, this.pos);
  }

  string(): string {
    const length = this.uint32();
    if (length === 0) return "";
    const start = this.#advance(length);
    const text = this.buf.toString("utf8", start, this.pos);
    if (text.includes("\ufffd") && !isUtf8(this.buf.subarray(start, this.pos))) {
      throw malformed(`string at byte ${start} is not UTF-8`);
    }
    return text;
  }

  /** Passes over the value of a field nobody knows, given its whole tag. */
  skip(tag: number, depth = 0): void {
    if (tag >>> 3 === 0) throw malformed(`field number 0 at byte ${this.pos}`);
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.uint32());
        return;
      case 3:
        this.#skipGroup(tag >>> 3, depth + 1);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw malformed(`wire type ${tag & 7} at byte ${this.pos}`);
    }
  }

  /** Ends a message: its last field must stop where the message does. */
  assertEnd(end: number): void {
    if (this.pos !== end) throw malformed(`a field ends at byte ${this.pos}, its message at ${end}`);
  }

  #skipGroup(fieldNumber: number, depth: number): void {
    if (depth > GROUP_DEPTH_MAX) throw malformed(`groups nested more than ${GROUP_DEPTH_MAX} deep`);
    for (;;) {
      const tag = this.uint32();
      if ((tag & 7) !== 4) {
        this.skip(tag, depth);
        continue;
      }
      if (tag >>> 3 !== fieldNumber) throw malformed(`group ${fieldNumber} is closed as ${tag >>> 3}`);
      return;
    }
  }

  /** Moves over `length` bytes and returns where they start. */
  #advance(length: number): number {
    const start = this.pos;
    const end = start + length;
    if (end > this.len)
      throw malformed(`${length} bytes expected at byte ${start}, ${this.len - start} left`);
    this.pos = end;
    return start;
  }

  /** Reads up to ten bytes into #low and #high, both unsigned. */
  #varint(): void {
    const { buf } = this;
    let pos = this.pos;
    let byte = 0x80;
    let low28 = 0;
    for (let shift = 0; byte >= 0x80 && shift < 28; shift += 7) {
      byte = buf[pos++]!;
      low28 |= (byte & 0x7f) << shift;
    }
    let mid28 = 0;
    for (let shift = 0; byte >= 0x80 && shift < 28; shift += 7) {
      byte = buf[pos++]!;
      mid28 |= (byte & 0x7f) << shift;
    }
    let high8 = 0;
    for (let shift = 0; byte >= 0x80 && shift < 14; shift += 7) {
      byte = buf[pos++]!;
      high8 |= (byte & 0x7f) << shift;
    }
    if (byte >= 0x80) throw malformed(`varint at byte ${this.pos} is longer than 10 bytes`);
    if (pos > this.len) throw malformed(`varint at byte ${this.pos} is cut off`);
    this.pos = pos;
    this.#low = ((mid28 << 28) | low28) >>> 0;
    this.#high = ((high8 << 24) | (mid28 >>> 4)) >>> 0;
  }

  #fillWords(): void {
    words.setUint32(0, this.#low, true);
    words.setUint32(4, this.#high, true);
  }
}

function nearestSafe(value: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
}

function malformed(reason: string): CodedError<"PROTO_MALFORMED"> {
  return new CodedError("PROTO_MALFORMED", `Cannot decode protobuf message: ${reason}`);
}
