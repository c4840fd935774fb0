import type { Delivery } from "../port.ts";
import { type HeaderTemplate, onlyPartHeader } from "./header-template.ts";
import type { RecordBuffers } from "./record-buffers.ts";
import { varintBytes, varlong, writeVarint } from "./varint.ts";

/** Below this a copy in JavaScript is cheaper than the call that copies. */
const COPY_CALL_MIN_BYTES = 64;
const DIGIT_0 = 48;
/** What a record without headers takes beyond its value, at most: length, attributes, two deltas, key, value length, header count. */
export const RECORD_OVERHEAD_BYTES_MAX = 5 + 1 + 8 + 5 + 1 + 5 + 1;

/**
 * The records of a batch (message format v2, KIP-98), encoded straight out of the chunks that lines were found in: no object
 * and no string for a line. The size of each record is known before it is written, so nothing is ever moved.
 *
 *     record: length varint · attributes 0 · timestamp delta varlong · offset delta varint · key -1 · value length varint ·
 *             value · header count varint · (key length varint · key · value length varint · value)*
 */
export class RecordBatchEncoder {
  readonly #recordsBytesMax: number;
  readonly #buffers: RecordBuffers;
  #buffer: Buffer;
  #length = 0;
  #count = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  /** The buffer grows up to `recordsBytesMax`; beyond it only for a single record that is larger. */
  constructor(options: { readonly recordsBytesMax: number; readonly buffers: RecordBuffers }) {
    this.#recordsBytesMax = options.recordsBytesMax;
    this.#buffers = options.buffers;
    this.#buffer = EMPTY;
  }

  get count(): number {
    return this.#count;
  }

  get baseTimestampMs(): number {
    return this.#baseTimestampMs;
  }

  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  /** The encoded records. The encoder's memory: valid until `release()`. */
  get records(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /**
   * Encodes lines of the delivery from line `first` on, as many as fit; returns the index behind the last. An empty batch takes at
   * least one.
   */
  append(delivery: Delivery, template: HeaderTemplate | undefined, first: number): number {
    const { bytes, starts, ends, count, base, keys, parts } = delivery.spans;
    const positions = delivery.spans.positions ?? starts;
    const keyOfAll = keys instanceof Uint8Array ? keys : undefined;
    const keyOfEach = keys instanceof Uint8Array ? undefined : keys;
    let nextPart = parts?.findIndex(({ record }) => record >= first) ?? -1;
    let markedRecord = parts?.[nextPart]?.record ?? -1;
    const delta = this.#timestampDelta(delivery.readAtMs);
    const deltaBytes = delta.length;
    let target: Buffer = this.#buffer;
    let at = this.#length;
    let offsetDelta = this.#count;
    let digits = 0;
    let digitsLimit = 0;
    let usualPrefix: Buffer = NO_HEADERS;
    let next = first;
    for (; next < count; next++) {
      const start = starts[next]!;
      const end = ends[next]!;
      const valueBytes = end - start;
      const position = base + positions[next]!;
      if (template !== undefined && position >= digitsLimit) {
        digits = digitsOf(position);
        digitsLimit = 10 ** digits;
        usualPrefix = template.prefix(digits);
      }
      let prefix = usualPrefix;
      const mark = next === markedRecord ? parts?.[nextPart] : undefined;
      if (mark !== undefined) prefix = template?.prefixOfPart(digits, mark) ?? onlyPartHeader(mark);
      const headersBytes = prefix.length + digits;
      const key = keyOfAll ?? keyOfEach?.[next];
      const keyBytes = key === undefined ? 1 : varintBytes(key.length) + key.length;
      const bodyBytes =
        1 +
        deltaBytes +
        varintBytes(offsetDelta) +
        keyBytes +
        varintBytes(valueBytes) +
        valueBytes +
        headersBytes;
      const after = at + varintBytes(bodyBytes) + bodyBytes;
      if (after > target.length || after > this.#recordsBytesMax) {
        if (after > this.#recordsBytesMax && at > 0) break;
        const restBytes =
          (count - next) * (RECORD_OVERHEAD_BYTES_MAX + headersBytes + keyBytes) + ends[count - 1]! - start;
        target = this.#grow({ used: at, needed: after, wanted: at + restBytes });
      }
      at = writeVarint(target, at, bodyBytes);
      target[at++] = 0;
      for (let i = 0; i < deltaBytes; i++) target[at++] = delta[i]!;
      at = writeVarint(target, at, offsetDelta++);
      if (key === undefined) target[at++] = NULL_KEY;
      else {
        at = writeVarint(target, at, key.length);
        target.set(key, at);
        at += key.length;
      }
      at = writeVarint(target, at, valueBytes);
      if (valueBytes < COPY_CALL_MIN_BYTES) for (let i = start; i < end; i++) target[at++] = bytes[i]!;
      else at += bytes.copy(target, at, start, end);
      if (prefix.length < COPY_CALL_MIN_BYTES)
        for (let i = 0; i < prefix.length; i++) target[at++] = prefix[i]!;
      else at += prefix.copy(target, at);
      if (digits > 0) at = writeDigits(target, at + digits, position);
      if (mark !== undefined) markedRecord = parts?.[++nextPart]?.record ?? -1;
    }
    this.#length = at;
    this.#count = offsetDelta;
    return next;
  }

  /** Gives the memory back. Idempotent. */
  release(): void {
    if (this.#buffer.length > 0) this.#buffers.release(this.#buffer);
    this.#buffer = EMPTY;
    this.#length = 0;
  }

  #timestampDelta(readAtMs: number): Uint8Array {
    const timestampMs = Math.floor(readAtMs);
    if (this.#count === 0) {
      this.#baseTimestampMs = timestampMs;
      this.#maxTimestampMs = timestampMs;
    } else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    return varlong(timestampMs - this.#baseTimestampMs);
  }

  /** At least `needed`, and up to `wanted` when the batch may become that large. */
  #grow(size: { readonly used: number; readonly needed: number; readonly wanted: number }): Buffer {
    const { used, needed, wanted } = size;
    const generous = Math.min(this.#recordsBytesMax, Math.max(wanted, this.#buffer.length * 2));
    const grown = this.#buffers.acquire(Math.max(needed, generous));
    this.#buffer.copy(grown, 0, 0, used);
    if (this.#buffer.length > 0) this.#buffers.release(this.#buffer);
    this.#buffer = grown;
    return grown;
  }
}

const EMPTY = Buffer.alloc(0);
/** A count of 0. */
const NO_HEADERS = Buffer.alloc(1);
/** -1 as a zigzag varint. */
const NULL_KEY = 1;

function digitsOf(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits += 1;
  return digits;
}

/** Writes the decimal digits of `value` so that they end before `end`; returns `end`. */
function writeDigits(target: Uint8Array, end: number, value: number): number {
  let at = end;
  let rest = value;
  // Beyond 31 bits a division is one of doubles, so it is done once for nine digits.
  if (value > 0x7fff_ffff) {
    const high = Math.floor(value / 1e9);
    let low = value - high * 1e9;
    for (let i = 0; i < 9; i++) {
      const quotient = (low / 10) | 0;
      target[--at] = DIGIT_0 + low - quotient * 10;
      low = quotient;
    }
    rest = high;
  }
  let small = rest | 0;
  do {
    const quotient = (small / 10) | 0;
    target[--at] = DIGIT_0 + small - quotient * 10;
    small = quotient;
  } while (small > 0);
  return end;
}
