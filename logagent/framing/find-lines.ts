import { type LineCoding, UTF_8_LINES } from "./line-coding.ts";
import { LINE_START, type LinePosition, type PartMark } from "./types.ts";

/** Bytes to look for lines in, and where to put them. Positions are indexes into `bytes`. */
export interface LineSearch {
  readonly bytes: Buffer;
  /** A line starts here, or what `position` says. */
  readonly from: number;
  readonly position?: LinePosition;
  /** Bytes from here on are not part of the file. */
  readonly end: number;
  readonly coding?: LineCoding;
  /** A longer line is cut into parts of this many bytes, or a little less where a character would be cut. */
  readonly lineBytesMax: number;
  /** Instead a line is cut once, to this many bytes, and the rest of it skipped. */
  readonly truncatedBytes?: number | undefined;
  /** The file ends at `end` for good: what is left without a newline is a line too. */
  readonly final: boolean;
  /** What is left without a newline is a part of a line, of which more may follow. */
  readonly partialLine?: boolean;
  /** Filled from 0; when they are full the search stops. Both of the same length. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export interface FoundLines {
  readonly count: number;
  /** Behind the last line and its newline, or behind what was skipped; `from` when there is neither. The next search starts here. */
  readonly to: number;
  /** What stands at `to`. */
  readonly position: LinePosition;
  /** Lines that are parts of one, ascending. */
  readonly parts: readonly PartMark[];
  /** Parts that do not end where their line ends. */
  readonly cuts: number;
  /** Lines that were truncated, ascending. What of them was skipped ends where the next line starts. */
  readonly truncated: readonly number[];
}

/**
 * A line is known to be too long only when this many bytes more than its maximum show no newline, because its end may be
 * `\r\n`, of two bytes each at most. A buffer with that room is never full of one line that can be neither shipped nor cut.
 */
export const NEWLINE_BYTES_MAX = 4;

/**
 * Finds lines: `starts[i] .. ends[i]` without `\n` or `\r\n`. A line without its newline is left for the next search, unless
 * it is longer than `lineBytesMax`, or the file is at its end. Where a part ends depends on the bytes from its own start on
 * alone, so that a search that starts again at any part finds the same ones.
 */
export function findLines(search: LineSearch): FoundLines {
  return new LineFinder(search).find();
}

class LineFinder {
  readonly #search: LineSearch;
  readonly #coding: LineCoding;
  #position: LinePosition;
  #at: number;
  #count = 0;
  #parts: PartMark[] = NONE;
  #truncated: number[] = NONE;
  #cuts = 0;

  constructor(search: LineSearch) {
    this.#search = search;
    this.#coding = search.coding ?? UTF_8_LINES;
    const { part, within } = search.position ?? LINE_START;
    this.#position = part === 1 && within === "line" ? LINE_START : { part, within };
    this.#at = search.from;
  }

  find(): FoundLines {
    const { starts, ends } = this.#search;
    const room = Math.min(starts.length, ends.length);
    while (this.#count < room) {
      if (this.#position.within === "skipped" && !this.#skip()) break;
      if (this.#position === LINE_START) this.#wholeLines(room);
      if (this.#count === room || !this.#otherLine()) break;
    }
    return {
      count: this.#count,
      to: this.#at,
      position: this.#position,
      parts: this.#parts,
      cuts: this.#cuts,
      truncated: this.#truncated,
    };
  }

  /** Nearly all there is: lines that are neither too long nor parts. */
  #wholeLines(room: number): void {
    const { bytes, end, lineBytesMax, starts, ends } = this.#search;
    const coding = this.#coding;
    const { unitBytes } = coding;
    let at = this.#at;
    let count = this.#count;
    while (count < room) {
      const newline = coding.newline(bytes, at, end);
      if (newline === -1) break;
      const lineEnd =
        newline > at && coding.isReturn(bytes, newline - unitBytes) ? newline - unitBytes : newline;
      if (lineEnd - at > lineBytesMax) break;
      starts[count] = at;
      ends[count++] = lineEnd;
      at = newline + unitBytes;
    }
    this.#at = at;
    this.#count = count;
  }

  /** One line of another kind. False: nothing can be done before there are more bytes. */
  #otherLine(): boolean {
    const { bytes, end, lineBytesMax } = this.#search;
    const { unitBytes } = this.#coding;
    const at = this.#at;
    const newline = this.#coding.newline(bytes, at, end);
    if (newline === -1) return this.#atEnd();
    const hasReturn = newline > at && this.#coding.isReturn(bytes, newline - unitBytes);
    const lineEnd = hasReturn ? newline - unitBytes : newline;
    if (lineEnd - at > lineBytesMax) this.#cut();
    else {
      if (this.#position.part > 1) this.#mark(true);
      this.#push(lineEnd);
      this.#at = newline + unitBytes;
    }
    return true;
  }

  /** No newline is left. False: nothing can be done before there are more bytes. */
  #atEnd(): boolean {
    const { end, lineBytesMax, final, partialLine } = this.#search;
    const left = end - this.#at;
    const isTooLong = final ? left > lineBytesMax : left >= lineBytesMax + 2 * this.#coding.unitBytes;
    if (isTooLong) {
      this.#cut();
      return true;
    }
    if (left === 0) return false;
    if (final) {
      if (this.#position.part > 1) this.#mark(true);
      this.#push(end);
      return true;
    }
    return partialLine === true && this.#partial();
  }

  /** Leaves a character, or a `\r\n`, of which only the beginning is there. */
  #partial(): boolean {
    const { bytes, end } = this.#search;
    const { unitBytes } = this.#coding;
    let to = this.#coding.cut(bytes, this.#at, end);
    if (to - this.#at < unitBytes) return false;
    if (this.#coding.isReturn(bytes, to - unitBytes)) to -= unitBytes;
    if (to === this.#at) return false;
    this.#mark(false);
    this.#push(to);
    return false;
  }

  /** The line at hand is too long. */
  #cut(): void {
    const { bytes, lineBytesMax, truncatedBytes } = this.#search;
    const limit = this.#at + (truncatedBytes ?? lineBytesMax);
    const cut = this.#coding.cut(bytes, this.#at, limit);
    const to = cut > this.#at ? cut : limit;
    if (truncatedBytes === undefined) {
      this.#mark(false);
      this.#cuts += 1;
    } else {
      if (this.#truncated === NONE) this.#truncated = [];
      this.#truncated.push(this.#count);
      this.#position = SKIPPED;
    }
    this.#push(to);
  }

  /** Goes behind the line that is skipped; false when its end is not there. */
  #skip(): boolean {
    const { bytes, end, final } = this.#search;
    const { unitBytes } = this.#coding;
    const from = this.#at;
    const newline = this.#coding.newline(bytes, from, end);
    if (newline !== -1) this.#at = newline + unitBytes;
    else this.#at = final ? end : end - ((end - from) % unitBytes);
    if (newline !== -1) this.#position = LINE_START;
    return newline !== -1;
  }

  #push(to: number): void {
    this.#search.starts[this.#count] = this.#at;
    this.#search.ends[this.#count++] = to;
    this.#at = to;
  }

  /** The next record is a part of its line. */
  #mark(isLast: boolean): void {
    const { part } = this.#position;
    if (this.#parts === NONE) this.#parts = [];
    this.#parts.push({ record: this.#count, part, isLast, of: "line" });
    this.#position = isLast ? LINE_START : { part: part + 1, within: "line" };
  }
}

/** Never written to: a first element takes a list of its own. */
const NONE: never[] = [];
const SKIPPED: LinePosition = { part: 1, within: "skipped" };
