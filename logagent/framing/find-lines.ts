const LF = 10;
const CR = 13;

/** Bytes to look for lines in, and where to put them. Positions are indexes into `bytes`. */
export interface LineSearch {
  readonly bytes: Buffer;
  /** A line starts here. */
  readonly from: number;
  /** Bytes from here on are not part of the file. */
  readonly end: number;
  /** A longer line is cut into parts of this many bytes. */
  readonly lineBytesMax: number;
  /** The file ends at `end` for good: what is left without a newline is a line too. */
  readonly final: boolean;
  /** Filled from 0; when they are full the search stops. Both of the same length. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export interface FoundLines {
  readonly count: number;
  /** Behind the last line and its newline; `from` when there is none. The next search starts here. */
  readonly to: number;
  /** Parts that do not end where their line ends. */
  readonly cuts: number;
}

/**
 * A line is known to be too long only when this many bytes more than its maximum show no newline, because its end may be
 * `\r\n`. A buffer with that room is never full of one line that can be neither shipped nor cut.
 */
export const NEWLINE_BYTES_MAX = 2;

/**
 * Finds lines: `starts[i] .. ends[i]` without `\n` or `\r\n`. A line without its newline is left for the next search, unless
 * it is longer than `lineBytesMax`, which cuts it, or `final`. Parts begin at multiples of `lineBytesMax` from the start of
 * the line, so that a search that starts again at any part finds the same ones.
 */
export function findLines(search: LineSearch): FoundLines {
  const { bytes, end, lineBytesMax, starts, ends } = search;
  const room = Math.min(starts.length, ends.length);
  let count = 0;
  let at = search.from;
  let cuts = 0;
  while (count < room) {
    const found = bytes.indexOf(LF, at);
    const newline = found === -1 || found >= end ? -1 : found;
    const lineEnd = newline > at && bytes[newline - 1] === CR ? newline - 1 : newline;
    if (newline !== -1 && lineEnd - at <= lineBytesMax) {
      starts[count] = at;
      ends[count] = lineEnd;
      at = newline + 1;
    } else if (newline !== -1 || isTooLong(end - at, search)) {
      starts[count] = at;
      at += lineBytesMax;
      ends[count] = at;
      cuts += 1;
    } else if (search.final && at < end) {
      starts[count] = at;
      ends[count] = end;
      at = end;
    } else break;
    count += 1;
  }
  return { count, to: at, cuts };
}

function isTooLong(unfinishedBytes: number, search: LineSearch): boolean {
  if (search.final) return unfinishedBytes > search.lineBytesMax;
  return unfinishedBytes >= search.lineBytesMax + NEWLINE_BYTES_MAX;
}
