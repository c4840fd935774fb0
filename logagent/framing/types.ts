/**
 * Lines found in a chunk, as a structure of arrays: no object and no string per line. The value of record `i` is
 * `bytes[starts[i] .. ends[i])`: a line without its `\n` or `\r\n`. It stands for the bytes of the file from its position, `base +
 * (positions ?? starts)[i]`, to the position of the next one.
 */
export interface LineSpans {
  /** The chunk, or what rules made of it. Belongs to the reader: valid until the `deliver()` it was given to resolves. */
  readonly bytes: Buffer;
  /** Offset in the file that positions count from: of `bytes[0]`, where values are lines as they are in the file. */
  readonly base: number;
  readonly count: number;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Where the line of each record starts, for values that were copied; they ascend. */
  readonly positions?: Uint32Array;
  /** Records that are parts of something longer, ascending by record; absent: none. */
  readonly parts?: readonly PartMark[];
  /** Of every record, or of each; absent: none. */
  readonly keys?: Buffer | readonly (Buffer | undefined)[];
  /**
   * The spans account for the file's bytes [from, to): `to` is behind the last line's newline, and behind whatever rules leave out
   * there. With no record at all the bytes were left out.
   */
  readonly from: number;
  readonly to: number;
}

/** Record `record` is the `part`th part, from 1, of a long line, or of a group of lines that belong together. */
export interface PartMark {
  readonly record: number;
  readonly part: number;
  readonly isLast: boolean;
  readonly of: "line" | "group";
}

/** What stands where a search for lines starts. */
export interface LinePosition {
  /** 1: a line; otherwise what comes is the so many-th part of one. */
  readonly part: number;
  /** - `line`: its parts are marked. - `group`: lines that belong together. - `skipped`: the rest of a truncated line. */
  readonly within: "line" | "group" | "skipped";
}

export const LINE_START: LinePosition = { part: 1, within: "line" };

export function isLineStart({ part, within }: LinePosition): boolean {
  return part === 1 && within === "line";
}

/** Text behind the last newline, and lines that may belong together with what is not written yet. All false: both wait. */
export interface Flush {
  /** The file ends here for good: whatever is left is complete. */
  readonly final: boolean;
  /** A last line without its newline has waited long enough: it is a part of a line, of which more may follow. */
  readonly partialLine: boolean;
  /** Lines that belong together have waited long enough for another. */
  readonly group: boolean;
}

export const FINAL_FLUSH: Flush = { final: true, partialLine: false, group: false };
export const NO_FLUSH: Flush = { final: false, partialLine: false, group: false };
