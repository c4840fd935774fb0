import { invariant } from "../../../base/invariant.ts";
import { BatchLedger } from "../batch-ledger.ts";
import type { Batch, ProducerStamp } from "../destination.ts";
import type { Delivery, ShippedFile } from "../port.ts";
import { type Compression, sealBatchHeader } from "./batch-header.ts";
import { compress, decompress } from "./compress.ts";
import { HeaderTemplate, PART_HEADER_BYTES_MAX } from "./header-template.ts";
import { RECORD_OVERHEAD_BYTES_MAX, RecordBatchEncoder } from "./record-batch.ts";
import type { RecordBuffers } from "./record-buffers.ts";
import { firstValue, splitRecords } from "./records-split.ts";

/** Records that are complete. */
interface PreparedRecords {
  readonly bytes: Buffer;
  readonly compression: Compression;
  readonly count: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
}

/** A record batch on its way: gathered, compressed, and sealed each time it is sent. */
export class KafkaBatch implements Batch {
  readonly ledger: BatchLedger;
  readonly #compression: Compression;
  readonly #templates: HeaderTemplates;
  readonly #encoder: RecordBatchEncoder | undefined;
  #prepared: PreparedRecords | undefined;

  constructor(
    shared: { readonly compression: Compression; readonly templates: HeaderTemplates },
    content: RecordBatchEncoder | { readonly ledger: BatchLedger; readonly prepared: PreparedRecords },
  ) {
    this.#compression = shared.compression;
    this.#templates = shared.templates;
    if (content instanceof RecordBatchEncoder) {
      this.#encoder = content;
      this.ledger = new BatchLedger();
    } else {
      this.#prepared = content.prepared;
      this.ledger = content.ledger;
    }
  }

  append(delivery: Delivery, lines: { readonly first: number; readonly lineOverheadBytes: number }): number {
    invariant(this.#encoder !== undefined, "lines are appended only before a batch is prepared");
    const { file, headers, spans } = delivery;
    const { first, lineOverheadBytes } = lines;
    const template = headers ? this.#templates.of(file) : undefined;
    const end = this.#encoder.append(delivery, template, first);
    this.ledger.add(file, spans, { first, end, lineOverheadBytes });
    return end;
  }

  async prepare(): Promise<void> {
    const encoder = this.#encoder;
    invariant(encoder !== undefined && this.#prepared === undefined, "a batch is prepared once");
    const raw = encoder.records;
    const { count, baseTimestampMs, maxTimestampMs } = encoder;
    const uncompressed = { bytes: raw, compression: "none", count, baseTimestampMs, maxTimestampMs } as const;
    this.#prepared = uncompressed;
    if (this.#compression === "none") return;
    const bytes = await compress(raw, this.#compression);
    if (bytes.length >= raw.length || this.#prepared !== uncompressed) return;
    this.#prepared = { ...uncompressed, bytes, compression: this.#compression };
    encoder.release();
  }

  /** Size of the prepared records. */
  get recordsBytes(): number {
    return this.#records().bytes.length;
  }

  /** Header and records, as they go into a request. The batch's memory. */
  seal(stamp: ProducerStamp): readonly [header: Buffer, records: Buffer] {
    const { bytes, ...rest } = this.#records();
    return [sealBatchHeader({ records: bytes, ...rest, stamp }), bytes];
  }

  async split(): Promise<readonly [Batch, Batch]> {
    const { bytes, compression, ...rest } = this.#records();
    const count = rest.count >>> 1;
    const raw = compression === "none" ? Buffer.from(bytes) : await decompress(bytes, compression);
    this.release();
    const [left, right] = splitRecords(raw, count);
    const [leftLedger, rightLedger] = this.ledger.splitAt(count);
    return await Promise.all([
      this.#part(leftLedger, { ...rest, bytes: left, compression: "none", count }),
      this.#part(rightLedger, { ...rest, bytes: right, compression: "none", count: rest.count - count }),
    ]);
  }

  async onlyLine(): Promise<Buffer> {
    const { bytes, compression } = this.#records();
    return firstValue(compression === "none" ? bytes : await decompress(bytes, compression));
  }

  release(): void {
    this.#encoder?.release();
    this.#prepared = undefined;
  }

  #records(): PreparedRecords {
    invariant(this.#prepared !== undefined, "a batch is sent after it is prepared and before it is released");
    return this.#prepared;
  }

  async #part(ledger: BatchLedger, raw: PreparedRecords): Promise<KafkaBatch> {
    const shared = { compression: this.#compression, templates: this.#templates };
    if (this.#compression === "none") return new KafkaBatch(shared, { ledger, prepared: raw });
    const bytes = await compress(raw.bytes, this.#compression);
    const prepared =
      bytes.length < raw.bytes.length ? { ...raw, bytes, compression: this.#compression } : raw;
    return new KafkaBatch(shared, { ledger, prepared });
  }
}

/** The header templates of the files that are being shipped. */
export class HeaderTemplates {
  readonly #templates = new WeakMap<ShippedFile, HeaderTemplate>();

  of(file: ShippedFile): HeaderTemplate {
    let template = this.#templates.get(file);
    if (template === undefined) {
      template = new HeaderTemplate(file);
      this.#templates.set(file, template);
    }
    return template;
  }

  /** Memory that a line takes beyond value and key, at most. */
  lineOverheadBytes(delivery: Delivery): number {
    const headersBytes = delivery.headers ? this.of(delivery.file).bytesMax : 0;
    const partBytes = delivery.spans.parts === undefined ? 0 : PART_HEADER_BYTES_MAX;
    return RECORD_OVERHEAD_BYTES_MAX + headersBytes + partBytes;
  }
}

/** Makes an empty batch. */
export function newKafkaBatch(
  shared: { readonly compression: Compression; readonly templates: HeaderTemplates },
  options: { readonly recordsBytesMax: number; readonly buffers: RecordBuffers },
): KafkaBatch {
  return new KafkaBatch(shared, new RecordBatchEncoder(options));
}
