/** Counters of one task since the agent started. Bytes are of the files, newlines included. */
export interface TailTotals {
  bytesRead: number;
  bytesAcked: number;
  linesAcked: number;
  linesRejected: number;
  bytesLost: number;
  /** Changes of files of which nobody can say how many bytes they took along. */
  lossesUnknown: number;
  /** Parts of lines longer than `maxLineBytes`. */
  linesCut: number;
  /** Lines that were shipped without their rest, and the bytes of those rests. */
  linesTruncated: number;
  bytesTruncated: number;
  /** Lines that the entry's rules leave out. */
  linesDropped: number;
}

export function newTotals(): TailTotals {
  return {
    bytesRead: 0,
    bytesAcked: 0,
    linesAcked: 0,
    linesRejected: 0,
    bytesLost: 0,
    lossesUnknown: 0,
    linesCut: 0,
    linesTruncated: 0,
    bytesTruncated: 0,
    linesDropped: 0,
  };
}
