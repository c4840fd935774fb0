import type { LineSpans } from "../framing/types.ts";

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
  for (let first = 0; first < count; ) {
    const key = keys[first];
    let end = first + 1;
    while (end < count && isSame(keys[end], key)) end += 1;
    runs.push({ spans: cut(spans, { first, end, key }), key });
    first = end;
  }
  return runs;
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}

function cut(
  spans: LineSpans,
  { first, end, key }: { readonly first: number; readonly end: number; readonly key: Buffer | undefined },
): LineSpans {
  const { bytes, base, count, starts, ends, positions, parts } = spans;
  const lineStarts = positions ?? starts;
  const marks = (parts ?? [])
    .filter(({ record }) => record >= first && record < end)
    .map((mark) => ({ ...mark, record: mark.record - first }));
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
