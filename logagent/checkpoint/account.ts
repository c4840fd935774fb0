/**
 * What became of the bytes of one content, from where its reading began. At every moment
 * `seen = acked + lost + held`, where held is the record's `seen - offset`; and `acked <= framed <= read`.
 */
export interface FileAccount {
  /** Bytes that were there at a look; those that came where others were cut off count as well. */
  seen: number;
  /** Bytes looked through for lines; those that are looked through again count again. */
  read: number;
  /** Bytes given to the destination; those that are sent again after a crash count again. */
  framed: number;
  /** Bytes settled: acknowledged, kept as dead letters, or in lines that the rules leave out. */
  acked: number;
  /** Bytes in loss records. */
  lost: number;
  /** Loss records of unknown extent. */
  lossesUnknown: number;
  /** Records that the rules left out. */
  linesDropped: number;
  /** Bytes of truncated lines that were not shipped. */
  bytesTruncated: number;
  /** Bytes of lines that the destination refused for good, which the dead letters keep. */
  bytesRefused: number;
}

/** Sums over the contents that no checkpoint is kept of any more. */
export interface RemovedSums extends FileAccount {
  files: number;
}

/** Of a content that is read from `offset` on, and of which `seen` bytes are there. */
export function newAccount(seen: number, offset: number): FileAccount {
  return { ...NOTHING, seen: seen - offset };
}

/** Of a record that an agent without accounts wrote: as if it had been read from its start. */
export function accountOfOld({
  seen,
  offset,
}: {
  readonly seen: number;
  readonly offset: number;
}): FileAccount {
  return { ...NOTHING, seen, read: offset, framed: offset, acked: offset };
}

/** As read from JSON, where a figure that is 0 may be left out. */
export function fullAccount(written: Partial<FileAccount>): FileAccount {
  return { ...NOTHING, ...written };
}

export function newRemovedSums(): RemovedSums {
  return { ...NOTHING, files: 0 };
}

/** Enters a content of which no checkpoint is kept any more. */
export function addRemoved(removed: RemovedSums, account: FileAccount): void {
  addAccount(removed, account);
  removed.files += 1;
}

/** Adds the figures of one account to those of another. */
export function addAccount(to: FileAccount, other: FileAccount): void {
  for (const figure of FIGURES) to[figure] += other[figure];
}

/** The figures that are not 0. */
export function shortAccount<Account extends FileAccount>(account: Account): Partial<Account> {
  return Object.fromEntries(Object.entries(account).filter(([, value]) => value !== 0)) as Partial<Account>;
}

const NOTHING: FileAccount = {
  seen: 0,
  read: 0,
  framed: 0,
  acked: 0,
  lost: 0,
  lossesUnknown: 0,
  linesDropped: 0,
  bytesTruncated: 0,
  bytesRefused: 0,
};

const FIGURES = Object.keys(NOTHING) as (keyof FileAccount)[];
