import type { LineSpans } from "../framing/types.ts";
import { ByteArena } from "./byte-arena.ts";
import type { JsonEnvelope } from "./json-envelope.ts";

/** Output ends when it has so many bytes; the rest of the chunk follows in the next. */
const OUTPUT_BYTES = 1024 * 1024;
const CAPACITY_MIN = 4096;

/** Records as they were found. Their `starts` and `ends` are overwritten by those of the output. */
export interface RawRecords {
  readonly bytes: Buffer;
  /** Offset in the file of `bytes[0]`. */
  readonly base: number;
  readonly count: number;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** The records that are shipped: where they were read, or in memory of their own when their bytes have changed. */
export class RecordOutput {
  readonly #records: RawRecords;
  readonly #envelope: JsonEnvelope | undefined;
  readonly #copy: { readonly arena: ByteArena; readonly positions: Uint32Array } | undefined;
  #count = 0;

  constructor(
    records: RawRecords,
    { copies, envelope }: { readonly copies: boolean; readonly envelope: JsonEnvelope | undefined },
  ) {
    this.#records = records;
    this.#envelope = envelope;
    if (copies) {
      this.#copy = { arena: new ByteArena(capacityFor(records)), positions: new Uint32Array(records.count) };
    }
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#copy !== undefined && this.#copy.arena.length >= OUTPUT_BYTES;
  }

  /** Ships record `index`, not before the ones that were kept, as these bytes. */
  keep(index: number, value: Uint8Array): void {
    const { base, starts, ends } = this.#records;
    const start = starts[index]!;
    if (this.#copy === undefined) {
      starts[this.#count] = start;
      ends[this.#count++] = ends[index]!;
      return;
    }
    const { arena, positions } = this.#copy;
    positions[this.#count] = start;
    starts[this.#count] = arena.length;
    if (this.#envelope === undefined) arena.write(value);
    else this.#envelope.write(arena, value, base + start);
    ends[this.#count++] = arena.length;
  }

  get values(): Pick<LineSpans, "bytes" | "count" | "positions"> {
    const count = this.#count;
    if (this.#copy === undefined) return { bytes: this.#records.bytes, count };
    return { bytes: this.#copy.arena.bytes, count, positions: this.#copy.positions };
  }
}

function capacityFor({ count, starts, ends }: RawRecords): number {
  const bytes = count === 0 ? 0 : ends[count - 1]! - starts[0]!;
  return Math.min(OUTPUT_BYTES, Math.max(CAPACITY_MIN, Math.ceil(bytes * 1.25)));
}
