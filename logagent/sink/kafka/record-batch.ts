import type { LineSpans } from "../../framing/types.ts";
import { copyBytes } from "../copy-bytes.ts";
import type { Delivery } from "../port.ts";
import type { HeaderTemplate } from "./header-template.ts";
import type { RecordBuffers } from "./record-buffers.ts";
import { RecordHeaders } from "./record-headers.ts";
import { varintBytes, varlong, writeVarint } from "./varint.ts";

/** What a record without headers takes beyond its value, at most: length, attributes, two deltas, key, value length, header count. */
export const RECORD_OVERHEAD_BYTES_MAX = 5 + 1 + 8 + 5 + 1 + 5 + 1;

/**
 * The records of a batch (message format v2, KIP-98), encoded straight out of the chunks that lines were found in: no object
 * and no string for a line. The size of each record is known before it is written, so nothing is ever moved.
 *
 *     record: length varint · attributes 0 · timestamp delta varlong · offset delta varint · key length varint (-1: none) · key ·
 *             value length varint · value · header count varint · (key length varint · key · value length varint · value)*
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
    const { spans } = delivery;
    const { bytes, starts, ends, count } = spans;
    const headers = new RecordHeaders(spans, { template, first });
    const delta = this.#timestampDelta(delivery.readAtMs);
    let target: Buffer = this.#buffer;
    let at = this.#length;
    let offsetDelta = this.#count;
    let next = first;
    for (; next < count; next++) {
      const start = starts[next]!;
      const valueBytes = ends[next]! - start;
      const key = keyOf(spans, next);
      headers.moveTo(next);
      const aroundBytes = keyBytes(key) + headers.bytes;
      const lengthsBytes = 1 + delta.length + varintBytes(offsetDelta) + varintBytes(valueBytes);
      const bodyBytes = lengthsBytes + aroundBytes + valueBytes;
      const after = at + varintBytes(bodyBytes) + bodyBytes;
      if (after > target.length || after > this.#recordsBytesMax) {
        if (after > this.#recordsBytesMax && at > 0) break;
        const restBytes =
          (count - next) * (RECORD_OVERHEAD_BYTES_MAX + aroundBytes) + ends[count - 1]! - start;
        target = this.#grow({ used: at, needed: after, wanted: at + restBytes });
      }
      at = writeVarint(target, at, bodyBytes);
      target[at++] = 0;
      at = copyBytes(target, at, delta, 0, delta.length);
      at = writeVarint(target, at, offsetDelta++);
      at = writeKey(target, at, key);
      at = writeVarint(target, at, valueBytes);
      at = copyBytes(target, at, bytes, start, start + valueBytes);
      at = headers.write(target, at);
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

  #timestampDelta(readAtMs: number): Buffer {
    const timestampMs = Math.floor(readAtMs);
    if (this.#count === 0) {
      this.#baseTimestampMs = timestampMs;
      this.#maxTimestampMs = timestampMs;
    } else if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    return Buffer.from(varlong(timestampMs - this.#baseTimestampMs));
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
/** -1 as a zigzag varint. */
const NULL_KEY = 1;

function keyOf({ keys }: LineSpans, record: number): Uint8Array | undefined {
  return keys === undefined || keys instanceof Uint8Array ? keys : keys[record];
}

/** Of the key and its length. */
function keyBytes(key: Uint8Array | undefined): number {
  return key === undefined ? 1 : varintBytes(key.length) + key.length;
}

function writeKey(target: Uint8Array, at: number, key: Uint8Array | undefined): number {
  if (key === undefined) {
    target[at] = NULL_KEY;
    return at + 1;
  }
  const next = writeVarint(target, at, key.length);
  target.set(key, next);
  return next + key.length;
}
