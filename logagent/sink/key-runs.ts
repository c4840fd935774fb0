import type { LineSpans, PartMark } from "../framing/types.ts";

/** Lines that follow one another, and have one key or none: they go to one partition. */
export interface KeyRun {
  readonly spans: LineSpans;
  readonly key: Buffer | undefined;
}

/** Cuts lines where their key changes; together the runs account for the same bytes of the file. */
export function keyRuns(spans: LineSpans): readonly KeyRun[] {
  const { keys, count } = spans;
  if (keys === undefined) return [{ spans, key: undefined }];
  if (keys instanceof Uint8Array) return [{ spans, key: keys }];
  const runs: KeyRun[] = [];
  const { parts = [] } = spans;
  let marked = 0;
  for (let first = 0; first < count; ) {
    const key = keys[first];
    let end = first + 1;
    while (end < count && isSame(keys[end], key)) end += 1;
    const firstMarked = marked;
    while (marked < parts.length && parts[marked]!.record < end) marked += 1;
    runs.push({ spans: cut(spans, { first, end, key, parts: parts.slice(firstMarked, marked) }), key });
    first = end;
  }
  return runs;
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}

/** Lines [first, end), and the marks of those that are parts. */
interface Run {
  readonly first: number;
  readonly end: number;
  readonly key: Buffer | undefined;
  readonly parts: readonly PartMark[];
}

function cut(spans: LineSpans, { first, end, key, parts }: Run): LineSpans {
  const { bytes, base, count, starts, ends, positions } = spans;
  const lineStarts = positions ?? starts;
  const marks = parts.map((mark) => ({ ...mark, record: mark.record - first }));
  return {
    bytes,
    base,
    count: end - first,
    starts: starts.subarray(first, end),
    ends: ends.subarray(first, end),
    ...(positions === undefined ? {} : { positions: positions.subarray(first, end) }),
    ...(marks.length === 0 ? {} : { parts: marks }),
    ...(key === undefined ? {} : { keys: key }),
    from: first === 0 ? spans.from : base + lineStarts[first]!,
    to: end === count ? spans.to : base + lineStarts[end]!,
  };
}
