import { BatchLedger } from "./batch-ledger.ts";
import { copyBytes } from "./copy-bytes.ts";
import type { Batch, TopicInfo } from "./destination.ts";
import type { Delivery } from "./port.ts";

const NEWLINE = 10;
const CAPACITY_MIN = 16 * 1024;

/** Lines one after another, each with a newline behind it: what the file and stdout sinks write. */
export class LineBatch implements Batch {
  readonly #bytesMax: number;
  readonly #ledger: BatchLedger;
  #buffer: Buffer;
  #length: number;

  constructor(bytesMax: number, filled?: { readonly ledger: BatchLedger; readonly bytes: Buffer }) {
    this.#bytesMax = bytesMax;
    this.#ledger = filled?.ledger ?? new BatchLedger();
    this.#buffer = filled?.bytes ?? Buffer.allocUnsafeSlow(Math.min(CAPACITY_MIN, bytesMax));
    this.#length = filled?.bytes.length ?? 0;
  }

  get ledger(): BatchLedger {
    return this.#ledger;
  }

  /** Belongs to the batch. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  append(delivery: Delivery, lines: { readonly first: number; readonly lineOverheadBytes: number }): number {
    const { spans, file } = delivery;
    const { first, lineOverheadBytes } = lines;
    const { bytes, starts, ends, count } = spans;
    let next = first;
    let at = this.#length;
    for (; next < count; next++) {
      const start = starts[next]!;
      const end = ends[next]!;
      const after = at + end - start + 1;
      if (after > this.#bytesMax && at > 0) break;
      if (after > this.#buffer.length) this.#grow(after, at);
      at = copyBytes(this.#buffer, at, bytes, start, end);
      this.#buffer[at++] = NEWLINE;
    }
    this.#length = at;
    this.#ledger.add(file, spans, { first, end: next, lineOverheadBytes });
    return next;
  }

  async prepare(): Promise<void> {
    // Lines are written as they are.
  }

  async split(): Promise<readonly [Batch, Batch]> {
    const lines = this.#ledger.lines >>> 1;
    let cut = 0;
    for (let i = 0; i < lines; i++) cut = this.#buffer.indexOf(NEWLINE, cut) + 1;
    const [left, right] = this.#ledger.splitAt(lines);
    const bytes = this.bytes;
    return [
      new LineBatch(this.#bytesMax, { ledger: left, bytes: bytes.subarray(0, cut) }),
      new LineBatch(this.#bytesMax, { ledger: right, bytes: bytes.subarray(cut) }),
    ];
  }

  async onlyLine(): Promise<Buffer> {
    return Buffer.from(this.bytes.subarray(0, -1));
  }

  release(): void {
    this.#buffer = EMPTY;
    this.#length = 0;
  }

  #grow(needed: number, used: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#buffer.length * 2, this.#bytesMax)));
    this.#buffer.copy(grown, 0, 0, used);
    this.#buffer = grown;
  }
}

/** What destinations that write lines one after another have in common; `batchBytesMax`: what is written at a time. */
export function lineTopic(name: string, batchBytesMax: number): TopicInfo {
  return { name, partitions: 1, batchBytesMax, warnings: [] };
}

export function newLineBatch({ batchBytesMax }: TopicInfo): LineBatch {
  return new LineBatch(batchBytesMax);
}

/** The newline. */
export function newlineBytes(): number {
  return 1;
}

const EMPTY = Buffer.alloc(0);
