/**
 * Lines found in a chunk, as a structure of arrays: no object and no string per line. Line `i` is
 * `bytes[starts[i] .. ends[i])`, without its `\n` or `\r\n`; its position in the file is `base + starts[i]`.
 */
export interface LineSpans {
  /** The chunk. Belongs to the reader: valid until the `deliver()` it was given to resolves. */
  readonly bytes: Buffer;
  /** Offset in the file of `bytes[0]`. */
  readonly base: number;
  readonly count: number;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** The spans account for the file's bytes [from, to): `to` is behind the last line's newline. */
  readonly from: number;
  readonly to: number;
}
