import assert from "node:assert/strict";
import { type Entry, entrySchema } from "../../../conf/collect-config.ts";
import { type Flush, type LinePosition, NO_FLUSH, type PartMark } from "../../../logagent/framing/types.ts";
import { LinePipeline } from "../../../logagent/rules/line-pipeline.ts";

export const ORIGIN = { ip: "10.0.0.7", path: "/var/log/a.log", readAt: "2030-01-02T03:04:05.000Z" };

export interface ShippedRecord {
  readonly value: string;
  readonly offset: number;
  /** `2` or, for the last part, `2/2`. */
  readonly part?: string;
  readonly key?: string | undefined;
}

export interface Shipped {
  readonly records: readonly ShippedRecord[];
  /** Behind the last byte that is accounted for. */
  readonly to: number;
  readonly cuts: number;
  readonly dropped: number;
  readonly truncatedLines: number;
  readonly truncatedBytes: number;
  readonly position: LinePosition | undefined;
}

export interface Reading {
  /** Bytes of a buffer; never less than the pipeline asks for. */
  readonly capacity?: number;
  /** Lines found at a time. */
  readonly room?: number;
  /** Sizes the file has one after another, before it has its own. */
  readonly sizes?: readonly number[];
  /** At the end of the whole file. */
  readonly flush?: Flush;
  readonly from?: number;
  readonly position?: LinePosition | undefined;
}

export const entryOf = (fields: Readonly<Record<string, unknown>> = {}): Entry =>
  entrySchema.parse({ path: ORIGIN.path, topic: "t", ...fields });

/** Below what the schema takes, so that small texts have long lines. */
export const smallEntry = (
  fields: Readonly<Record<string, unknown>>,
  limits: { readonly maxLineBytes?: number; readonly maxBytes?: number; readonly maxLines?: number } = {},
): Entry => {
  const { maxLineBytes, ...group } = limits;
  const entry = entryOf(fields);
  const multiline = entry.multiline === undefined ? {} : { multiline: { ...entry.multiline, ...group } };
  return { ...entry, ...(maxLineBytes === undefined ? {} : { maxLineBytes }), ...multiline };
};

/** Ships a file as the reader does: in buffers, from where the last records ended, and holds the pipeline to what it promises. */
export function ship(entry: Entry, file: Buffer, reading: Reading = {}): Shipped {
  const pipeline = new LinePipeline(entry);
  const { sizes = [], flush = NO_FLUSH } = reading;
  const capacity = Math.max(reading.capacity ?? file.length, pipeline.chunkBytesMin);
  // What is behind `end` is left from other files.
  const bytes = Buffer.alloc(capacity, "\n");
  const room = reading.room ?? file.length + 1;
  const total = { records: [] as ShippedRecord[], cuts: 0, dropped: 0, truncatedLines: 0, truncatedBytes: 0 };
  let base = reading.from ?? 0;
  let position = reading.position;
  for (const size of [...sizes.toSorted((a, b) => a - b), file.length]) {
    for (;;) {
      const end = file.copy(bytes, 0, base, Math.min(size, base + capacity));
      const isAtEnd = base + end === file.length && size === file.length;
      const output = pipeline.run({
        bytes,
        base,
        from: 0,
        end,
        flush: isAtEnd ? flush : NO_FLUSH,
        starts: new Uint32Array(room),
        ends: new Uint32Array(room),
        origin: ORIGIN,
        ...(position === undefined ? {} : { position }),
      });
      const { spans } = output;
      assert.equal(spans.from, base, "spans start where the last ones ended");
      if (spans.to === base) {
        assert.equal(spans.count, 0, "records stand for bytes");
        assert.ok(end < capacity, "a buffer is never full of what waits");
        break;
      }
      let last = base - 1;
      for (let i = 0; i < spans.count; i++) {
        const offset = base + ((spans.positions ?? spans.starts)[i] as number);
        assert.ok(offset > last && offset < spans.to, "records start one behind another within their range");
        last = offset;
        const mark = spans.parts?.find(({ record }) => record === i);
        const key = spans.keys instanceof Buffer ? spans.keys : spans.keys?.[i];
        total.records.push({
          value: spans.bytes.toString("latin1", spans.starts[i], spans.ends[i]),
          offset,
          ...(mark === undefined ? {} : { part: partText(mark) }),
          ...(spans.keys === undefined ? {} : { key: key?.toString() }),
        });
      }
      total.cuts += output.cuts;
      total.dropped += output.droppedRecords;
      total.truncatedLines += output.truncatedLines;
      total.truncatedBytes += output.truncatedBytes;
      position = output.position;
      base = spans.to;
    }
  }
  return { ...total, to: base, position };
}

function partText({ part, isLast }: PartMark): string {
  return isLast ? `${part}/${part}` : String(part);
}

export const utf8 = (text: string): string => Buffer.from(text, "latin1").toString();
export const values = ({ records }: Shipped): string[] => records.map(({ value }) => utf8(value));
