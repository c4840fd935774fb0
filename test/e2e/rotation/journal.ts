/** What the writer knows at its end: what was in which file, to the byte. */
export interface Journal {
  readonly logs: readonly LogJournal[];
}

export interface LogJournal {
  readonly name: string;
  /** What followed each other at the path. Together they are the log's whole stream, without gap. */
  readonly contents: readonly WrittenContent[];
}

/** One content of a file, from its birth or a truncation to its end or the next one: bytes [from, to) of the log's stream. */
export interface WrittenContent {
  readonly ino: string;
  readonly birthtimeNs: string;
  readonly from: number;
  readonly to: number;
}
