import { compilePattern, type LinearPattern } from "../../base/linear-pattern.ts";
import type { Entry } from "../../conf/collect-config.ts";
import { UTF_8 } from "../../conf/encodings.ts";
import type { LineSpans } from "../framing/types.ts";
import { JsonEnvelope, type RecordOrigin } from "./json-envelope.ts";
import { keyOfAll, type RecordKeys } from "./record-key.ts";
import { type RawRecords, RecordOutput } from "./record-output.ts";
import { Redactor } from "./redact.ts";

/** Stands behind what is left of a truncated line. */
export const TRUNCATION_MARK = Buffer.from("[truncated]");
/** What a record has become that is not shipped. */
export const DROPPED = -1;

/** What the rules made of the records. */
export interface RuledRecords {
  readonly values: Pick<LineSpans, "bytes" | "count" | "positions" | "keys">;
  /** Records that were looked at: all, or as many as a round takes. */
  readonly taken: number;
  /** For each record that was looked at: which it has become, or -1 where it was dropped. Absent: all are as they were. */
  readonly became: Int32Array | undefined;
}

/** The rules of an entry that look at single records: encoding, include, exclude, redact, format, key. */
export class RecordRules {
  readonly #entry: Entry;
  readonly #decoder: Decoder | undefined;
  readonly #include: readonly LinearPattern[];
  readonly #exclude: readonly LinearPattern[];
  readonly #redactor: Redactor | undefined;
  readonly #recordKeys: RecordKeys;

  /** Throws PatternError. */
  constructor(entry: Entry, recordKeys: RecordKeys) {
    this.#entry = entry;
    this.#decoder = lineDecoder(entry.encoding);
    this.#include = entry.include.map(compilePattern);
    this.#exclude = entry.exclude.map(compilePattern);
    this.#redactor = entry.redact.length > 0 ? new Redactor(entry.redact) : undefined;
    this.#recordKeys = recordKeys;
  }

  /** Are values other bytes than those of the file? */
  get #copies(): boolean {
    const { format, longLines } = this.#entry;
    const changes = this.#decoder !== undefined || this.#redactor !== undefined;
    return changes || format === "json" || longLines === "truncate";
  }

  /** The text of a line in UTF-8. */
  text(bytes: Buffer, start: number, end: number): Uint8Array {
    const raw = bytes.subarray(start, end);
    return this.#decoder === undefined ? raw : Buffer.from(this.#decoder.decode(raw));
  }

  /** `truncated`: the records whose rest was skipped. */
  apply(records: RawRecords, truncated: ReadonlySet<number>, origin: RecordOrigin): RuledRecords {
    const { bytes, base, count, starts, ends } = records;
    const { format, fields } = this.#entry;
    const recordKeys = this.#recordKeys;
    const envelope = format === "json" ? new JsonEnvelope(origin, fields) : undefined;
    const output = new RecordOutput(records, { copies: this.#copies, envelope });
    const became = this.#include.length + this.#exclude.length > 0 ? new Int32Array(count) : undefined;
    const keys: (Buffer | undefined)[] = [];
    let taken = 0;
    for (; taken < count && !output.isFull; taken++) {
      const end = ends[taken]!;
      const start = starts[taken]!;
      let record = this.text(bytes, base === 0 ? this.#behindMark(bytes, start, end) : start, end);
      if (became !== undefined) {
        became[taken] = this.#isShipped(record) ? output.count : DROPPED;
        if (became[taken] === DROPPED) continue;
      }
      if (this.#redactor !== undefined) record = this.#redactor.redact(record);
      if (recordKeys.kind === "of each") keys.push(recordKeys.keyOf(record));
      if (truncated.has(taken)) record = Buffer.concat([record, TRUNCATION_MARK]);
      output.keep(taken, record);
    }
    return {
      values: {
        ...output.values,
        ...(recordKeys.kind === "of each" ? { keys } : keyOfAll(recordKeys, origin.path)),
      },
      taken,
      became,
    };
  }

  #isShipped(record: Uint8Array): boolean {
    if (this.#exclude.some((pattern) => pattern.test(record))) return false;
    return this.#include.length === 0 || this.#include.some((pattern) => pattern.test(record));
  }

  /** A byte order mark at the start of a file is no part of its first line. `start` is an offset in the file. */
  #behindMark(bytes: Buffer, start: number, end: number): number {
    const mark = BYTE_ORDER_MARKS[this.#entry.encoding];
    if (start !== 0 || mark === undefined || end < mark.length) return start;
    return mark.every((byte, i) => bytes[i] === byte) ? mark.length : start;
  }
}

type Decoder = InstanceType<typeof TextDecoder>;

/** Of encodings that are decoded; UTF-8 is shipped as it is. */
const BYTE_ORDER_MARKS: Readonly<Record<string, readonly number[]>> = {
  "utf-16le": [0xff, 0xfe],
  "utf-16be": [0xfe, 0xff],
  gb18030: [0x84, 0x31, 0x95, 0x33],
};

function lineDecoder(encoding: string): Decoder | undefined {
  return encoding === UTF_8 ? undefined : new TextDecoder(encoding, { ignoreBOM: true });
}
