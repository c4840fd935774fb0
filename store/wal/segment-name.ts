/** A segment's name: its place in the sequence and its first index, 16 hexadecimal digits each, so that names sort. */
export interface SegmentName {
  readonly sequence: number;
  readonly firstIndex: number;
}

/** The next segment while it is being filled with zeros; it gets its name by a rename. */
export const NEXT_SEGMENT = "next.tmp";

export function formatSegmentName(name: SegmentName): string {
  return `${hex64(name.sequence)}-${hex64(name.firstIndex)}.wal`;
}

/** Undefined for a name that is not a segment's. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  if (match === null) return undefined;
  return {
    sequence: Number.parseInt(match[1] ?? "", 16),
    firstIndex: Number.parseInt(match[2] ?? "", 16),
  };
}

function hex64(value: number): string {
  return value.toString(16).padStart(16, "0");
}
