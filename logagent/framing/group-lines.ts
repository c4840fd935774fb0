import { CLOSED, type LineJoiner } from "./line-joiner.ts";
import { LINE_START, type LinePosition, type PartMark } from "./types.ts";

/** Lines that were found, and how to put them together. Positions are indexes into the bytes that they were found in. */
export interface Grouping {
  readonly joiner: LineJoiner;
  /** The bytes of a line, in UTF-8. */
  readonly line: (start: number, end: number) => Uint8Array;
  readonly linesMax: number;
  /** From the start of the first line to the end of the last. */
  readonly bytesMax: number;
  readonly count: number;
  /** Overwritten with the records' starts and ends. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Lines that are parts of a long one, or truncated: each is a record of its own. */
  readonly apart: ReadonlySet<number>;
  readonly parts: readonly PartMark[];
  readonly position: LinePosition;
  /** No further line comes: what is there belongs together. */
  readonly isEnd: boolean;
}

export interface Groups {
  readonly count: number;
  /** Lines in the records; the others wait for those that follow them. */
  readonly lines: number;
  readonly parts: readonly PartMark[];
  /** What stands at the first line that waits; undefined when none does. */
  readonly position: LinePosition | undefined;
  /** Parts that do not end where their group ends. */
  readonly cuts: number;
  /** Which record each line that is apart has become. */
  readonly records: ReadonlyMap<number, number>;
}

/** Puts lines that belong together into one record each: from the start of the first to the end of the last. */
export function groupLines(grouping: Grouping): Groups {
  const { starts, ends, count, apart } = grouping;
  const parts: PartMark[] = [];
  const records = new Map<number, number>();
  const marks = new Map(grouping.parts.map((mark) => [mark.record, mark]));
  let part = grouping.position.within === "group" ? grouping.position.part : 1;
  let record = 0;
  let first = 0;
  let cuts = 0;
  while (first < count) {
    if (apart.has(first)) {
      const mark = marks.get(first);
      if (mark !== undefined) parts.push({ ...mark, record });
      records.set(first, record);
      starts[record] = starts[first]!;
      ends[record++] = ends[first++]!;
      part = 1;
      continue;
    }
    const { next, end } = endOfGroup(grouping, first);
    if (end === "open") break;
    if (end === "limit" || part > 1) parts.push({ record, part, isLast: end === "whole", of: "group" });
    part = end === "limit" ? part + 1 : 1;
    if (end === "limit") cuts += 1;
    starts[record] = starts[first]!;
    ends[record++] = ends[next - 1]!;
    first = next;
  }
  const position = first < count ? positionIn(part) : undefined;
  return { count: record, lines: first, parts, position, cuts, records };
}

function positionIn(part: number): LinePosition {
  return part > 1 ? { part, within: "group" } : LINE_START;
}

interface GroupEnd {
  /** The first line behind the group. */
  readonly next: number;
  readonly end: "whole" | "limit" | "open";
}

function endOfGroup(grouping: Grouping, first: number): GroupEnd {
  const { joiner, line, linesMax, bytesMax, count, starts, ends, apart, isEnd } = grouping;
  let state = joiner.begin(line(starts[first]!, ends[first]!));
  for (let next = first + 1; ; next++) {
    if (state === CLOSED) return { next, end: "whole" };
    if (next === count) return { next, end: isEnd ? "whole" : "open" };
    if (apart.has(next)) return { next, end: "whole" };
    const after = joiner.join(state, line(starts[next]!, ends[next]!));
    if (after === undefined) return { next, end: "whole" };
    if (next - first === linesMax || ends[next]! - starts[first]! > bytesMax) return { next, end: "limit" };
    state = after;
  }
}
