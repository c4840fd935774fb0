import type { Message } from "kafkajs";
import { BatchLedger } from "../batch-ledger.ts";
import type { Batch } from "../destination.ts";
import { PART_HEADER_BYTES_MAX, partHeader } from "../kafka/header-template.ts";
import type { Delivery } from "../port.ts";

/** What an object, its headers and its buffer take for each line. */
export const MESSAGE_OVERHEAD_BYTES = 400;
/** What a record takes beyond value and headers, at most. */
const RECORD_OVERHEAD_BYTES = 40;

/** Lines as kafkajs wants them: an object each. */
export class MessageBatch implements Batch {
  readonly #bytesMax: number;
  readonly ledger: BatchLedger;
  #messages: Message[];
  #bytes = 0;

  constructor(bytesMax: number, filled?: { readonly ledger: BatchLedger; readonly messages: Message[] }) {
    this.#bytesMax = bytesMax;
    this.ledger = filled?.ledger ?? new BatchLedger();
    this.#messages = filled?.messages ?? [];
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  append(delivery: Delivery, lines: { readonly first: number; readonly lineOverheadBytes: number }): number {
    const { file, headers, spans } = delivery;
    const { first, lineOverheadBytes } = lines;
    const { starts, ends, count, base, keys, parts = [] } = spans;
    const positions = spans.positions ?? starts;
    const marks = new Map(parts.map((mark) => [mark.record, mark]));
    const timestamp = String(Math.floor(delivery.readAtMs));
    const headersBytes = headers ? file.ip.length + Buffer.byteLength(file.path) + file.id.length + 32 : 0;
    let next = first;
    for (; next < count; next++) {
      const start = starts[next]!;
      const end = ends[next]!;
      const mark = marks.get(next);
      const key = keys instanceof Uint8Array ? keys : keys?.[next];
      const keyBytes = key?.length ?? 0;
      const partBytes = mark === undefined ? 0 : PART_HEADER_BYTES_MAX;
      const after = this.#bytes + end - start + headersBytes + partBytes + keyBytes + RECORD_OVERHEAD_BYTES;
      if (after > this.#bytesMax && this.#bytes > 0) break;
      this.#bytes = after;
      this.#messages.push({
        value: Buffer.from(spans.bytes.subarray(start, end)),
        timestamp,
        ...(key === undefined ? {} : { key: Buffer.from(key) }),
        ...(headers || mark !== undefined
          ? {
              headers: {
                ...(headers ? { ip: file.ip, path: file.path } : {}),
                ...(mark === undefined ? {} : { part: partHeader(mark) }),
                ...(headers ? { pos: `${file.id}:${base + positions[next]!}` } : {}),
              },
            }
          : {}),
      });
    }
    this.ledger.add(file, spans, { first, end: next, lineOverheadBytes });
    return next;
  }

  async prepare(): Promise<void> {
    // kafkajs encodes and compresses.
  }

  async split(): Promise<readonly [Batch, Batch]> {
    const lines = this.ledger.lines >>> 1;
    const [left, right] = this.ledger.splitAt(lines);
    return [
      new MessageBatch(this.#bytesMax, { ledger: left, messages: this.#messages.slice(0, lines) }),
      new MessageBatch(this.#bytesMax, { ledger: right, messages: this.#messages.slice(lines) }),
    ];
  }

  async onlyLine(): Promise<Buffer> {
    return this.#messages[0]?.value as Buffer;
  }

  release(): void {
    this.#messages = [];
  }
}
