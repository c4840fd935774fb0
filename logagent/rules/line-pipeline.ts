import type { Entry } from "../../conf/collect-config.ts";
import { UTF_8 } from "../../conf/encodings.ts";
import { type FoundLines, findLines, NEWLINE_BYTES_MAX } from "../framing/find-lines.ts";
import { groupLines } from "../framing/group-lines.ts";
import { type LineCoding, lineCoding } from "../framing/line-coding.ts";
import { type LineJoiner, lineJoiner } from "../framing/line-joiner.ts";
import {
  type Flush,
  LINE_START,
  type LinePosition,
  type LineSpans,
  type PartMark,
} from "../framing/types.ts";
import type { RecordOrigin } from "./json-envelope.ts";
import { keyOfAll, type RecordKeys, recordKeys } from "./record-key.ts";
import { DROPPED, RecordRules, TRUNCATION_MARK } from "./record-rules.ts";

/** Bytes of a file that were read. Positions are indexes into `bytes`. */
export interface PipelineInput {
  readonly bytes: Buffer;
  /** Offset in the file of `bytes[0]`. */
  readonly base: number;
  /** Where the last answer's spans ended. */
  readonly from: number;
  /** Of the last answer for this file; a line starts at `from` when there is none. */
  readonly position?: LinePosition;
  readonly end: number;
  /** What of the bytes behind the last newline waits no longer. Only when `end` is the end of the file. */
  readonly flush: Flush;
  /** Room for lines: overwritten, and belong to the answer's spans. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly origin: RecordOrigin;
}

/** Records, and what became of the bytes that are in none. */
export interface PipelineOutput {
  /** Nothing more can be done before there are more bytes when `to` is `from`. */
  readonly spans: LineSpans;
  /** What stands at `spans.to`. */
  readonly position: LinePosition;
  /** Parts that do not end where what they are parts of ends. */
  readonly cuts: number;
  readonly truncatedLines: number;
  readonly truncatedBytes: number;
  /** Records that the rules leave out. */
  readonly droppedRecords: number;
}

/**
 * From bytes to records, by the rules of an entry. It keeps nothing of a file: what it answers depends on the bytes from a record's start
 * on, and on nothing that was read before, but for the numbers of parts and the rest of a truncated line, which `position` says.
 */
export class LinePipeline {
  /** A chunk with this many bytes from a record's start on is never full of what can be neither shipped nor left waiting. */
  readonly chunkBytesMin: number;
  /** Are lines looked at? Then what is asked of the pipeline at one time should be little. */
  readonly isCostly: boolean;
  /** With room for fewer lines, some that belong together could never be told from those that do not. */
  readonly roomMin: number;
  readonly #coding: LineCoding;
  readonly #lineBytesMax: number;
  readonly #truncatedBytes: number | undefined;
  readonly #multiline:
    | { readonly joiner: LineJoiner; readonly linesMax: number; readonly bytesMax: number }
    | undefined;
  readonly #rules: RecordRules | undefined;
  readonly #recordKeys: RecordKeys;

  /** Throws PatternError. */
  constructor(entry: Entry) {
    this.#coding = lineCoding(entry.encoding);
    this.#lineBytesMax = rawBytes(this.#coding, entry.maxLineBytes);
    this.#truncatedBytes =
      entry.longLines === "truncate"
        ? rawBytes(this.#coding, entry.maxLineBytes - TRUNCATION_MARK.length)
        : undefined;
    if (entry.multiline !== undefined) {
      const { maxLines, maxBytes } = entry.multiline;
      this.#multiline = {
        joiner: lineJoiner(entry.multiline),
        linesMax: maxLines,
        bytesMax: rawBytes(this.#coding, maxBytes),
      };
    }
    this.#recordKeys = recordKeys(entry);
    const hasRules = hasRecordRules(entry) || this.#recordKeys.kind === "of each";
    this.#rules = hasRules ? new RecordRules(entry, this.#recordKeys) : undefined;
    this.isCostly = this.#rules !== undefined || this.#multiline !== undefined;
    this.roomMin = this.#multiline === undefined ? 1 : this.#multiline.linesMax + 1;
    // A group is known to be complete when the line behind it is there.
    const groupBytesMax =
      this.#multiline === undefined ? 0 : Math.max(this.#multiline.bytesMax, this.#lineBytesMax);
    this.chunkBytesMin = groupBytesMax + this.#lineBytesMax + 2 * NEWLINE_BYTES_MAX;
  }

  run(input: PipelineInput): PipelineOutput {
    const found = this.#group(input, this.#find(input));
    return this.#rules === undefined ? this.#asTheyAre(input, found) : this.#ruled(input, this.#rules, found);
  }

  #find(input: PipelineInput): FoundLines {
    const { bytes, base, from, end, flush, starts, ends, position } = input;
    // Who looked for a newline by its byte alone has found the first half of one of two bytes.
    const offUnit = (base + from) % this.#coding.unitBytes;
    return findLines({
      bytes,
      from: Math.min(from + offUnit, end),
      end,
      starts,
      ends,
      coding: this.#coding,
      lineBytesMax: this.#lineBytesMax,
      truncatedBytes: this.#truncatedBytes,
      final: flush.final,
      partialLine: flush.partialLine,
      ...(position === undefined || position.within === "group" ? {} : { position }),
    });
  }

  /** Lines that nobody asks anything of: they stay where they were read. */
  #asTheyAre(input: PipelineInput, found: FoundLines): PipelineOutput {
    const { bytes, base, from, starts, ends, origin } = input;
    const { count, to, position, parts, cuts } = found;
    const spans: LineSpans = {
      bytes,
      base,
      count,
      starts,
      ends,
      from: base + from,
      to: base + to,
      ...(parts.length > 0 ? { parts } : {}),
      ...keyOfAll(this.#recordKeys, origin.path),
    };
    return { spans, position, cuts, truncatedLines: 0, truncatedBytes: 0, droppedRecords: 0 };
  }

  #group(input: PipelineInput, found: FoundLines): FoundLines {
    if (this.#multiline === undefined) return found;
    const { bytes, flush, starts, ends } = input;
    const { count, to, position, parts, cuts, truncated } = found;
    const hasSearchedAll = count < Math.min(starts.length, ends.length);
    const groups = groupLines({
      ...this.#multiline,
      line: (start, end) => this.#rules?.text(bytes, start, end) ?? bytes.subarray(start, end),
      count,
      starts,
      ends,
      parts,
      apart: new Set([...parts.map(({ record }) => record), ...truncated]),
      position: input.position ?? LINE_START,
      isEnd: (flush.group || flush.final) && hasSearchedAll,
    });
    return {
      count: groups.count,
      // Lines behind the last group are still as they were found.
      to: groups.lines < count ? starts[groups.lines]! : to,
      position: groups.position ?? position,
      parts: groups.parts,
      cuts: cuts + groups.cuts,
      truncated: truncated.map((line) => groups.records.get(line) ?? line),
    };
  }

  #ruled(input: PipelineInput, rules: RecordRules, found: FoundLines): PipelineOutput {
    const { bytes, base, from, starts, ends, origin } = input;
    const skips = skippedIn(input, found);
    const truncated = new Set(found.truncated);
    const ruled = rules.apply({ bytes, base, count: found.count, starts, ends }, truncated, origin);
    const taken = ruled.taken === found.count ? found : upTo(found, ruled.taken, starts[ruled.taken]!);
    const parts = movedParts(taken.parts, ruled.became);
    return {
      spans: {
        ...ruled.values,
        base,
        starts,
        ends,
        from: base + from,
        to: base + taken.to,
        ...(parts.length > 0 ? { parts } : {}),
      },
      position: taken.position,
      cuts: taken.cuts,
      truncatedLines: taken.truncated.length,
      truncatedBytes: skips
        .filter(({ record }) => record < ruled.taken)
        .reduce((sum, skip) => sum + skip.bytes, 0),
      droppedRecords: ruled.taken - ruled.values.count,
    };
  }
}

/** Of the file's encoding that become at most `utf8Bytes` in UTF-8, in whole units. */
function rawBytes({ utf8Factor, unitBytes }: LineCoding, utf8Bytes: number): number {
  const bytes = Math.floor(utf8Bytes / utf8Factor);
  return bytes - (bytes % unitBytes);
}

function hasRecordRules(entry: Entry): boolean {
  const { encoding, include, exclude, redact, format, longLines } = entry;
  if (encoding !== UTF_8 || format !== "raw" || longLines !== "cut") return true;
  return include.length + exclude.length + redact.length > 0;
}

/** What is skipped behind each record; record -1: before the first one. */
function skippedIn(
  { starts, ends, from, position }: PipelineInput,
  { count, to, truncated }: FoundLines,
): readonly { readonly record: number; readonly bytes: number }[] {
  const nextStart = (record: number) => (record < count ? starts[record]! : to);
  const skips = truncated.map((record) => ({ record, bytes: nextStart(record + 1) - ends[record]! }));
  if (position?.within === "skipped") skips.unshift({ record: -1, bytes: nextStart(0) - from });
  return skips;
}

/** The first `count` records, behind which `to` is. */
function upTo(found: FoundLines, count: number, to: number): FoundLines {
  const mark = found.parts.find(({ record }) => record === count);
  const parts = found.parts.filter(({ record }) => record < count);
  return {
    count,
    to,
    position: mark === undefined ? LINE_START : { part: mark.part, within: mark.of },
    parts,
    // A part that only waits for the rest of its line is the last record there is.
    cuts: parts.filter(({ isLast }) => !isLast).length,
    truncated: found.truncated.filter((record) => record < count),
  };
}

/** The marks of the records that are left, where they are now. */
function movedParts(parts: readonly PartMark[], became: Int32Array | undefined): readonly PartMark[] {
  if (became === undefined || parts.length === 0) return parts;
  return parts
    .map((mark) => ({ ...mark, record: became[mark.record]! }))
    .filter(({ record }) => record !== DROPPED);
}
