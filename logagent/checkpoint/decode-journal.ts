import { type DecodedLosses, decodeLosses, type JournaledLoss } from "./loss-line.ts";

/** The two files of a loss journal, as they were read; one that is not there is empty. */
export interface JournalFiles {
  readonly previous: JournalFile;
  readonly current: JournalFile;
}

export interface JournalFile {
  /** For messages. */
  readonly path: string;
  readonly bytes: Buffer;
}

/**
 * Both files of a journal. `durable`: number of the last loss that the checkpoints know of, 0 for none. What was written after
 * it may never have reached the disk whole, in any order of its blocks: where it cannot be read, that is what a power cut left,
 * and no damage. `tornFrom` is where that begins in the current file. Throws as `decodeLosses`.
 */
export function decodeJournal(
  { previous, current }: JournalFiles,
  durable: number,
): {
  readonly losses: readonly JournaledLoss[];
  readonly damaged: readonly string[];
  readonly tornFrom: number | undefined;
} {
  const older = decodeLosses(previous.bytes, previous.path);
  const newer = decodeLosses(current.bytes, current.path);
  const isInOlder = durable === 0 || older.losses.some(({ number }) => number === durable);
  const durableTo = endOf(newer, durable) ?? (isInOlder ? 0 : Number.POSITIVE_INFINITY);
  const torn = newer.damaged.filter(({ from }) => from >= durableTo);
  const damaged = [...older.damaged, ...newer.damaged].filter((one) => !torn.includes(one));
  return {
    losses: [...older.losses, ...newer.losses],
    damaged: damaged.map(({ sentence }) => sentence),
    tornFrom: torn[0]?.from,
  };
}

/** Behind the line of a loss; one to which others were added stands there again. */
function endOf({ losses, ends }: DecodedLosses, number: number): number | undefined {
  return ends[losses.findLastIndex((loss) => loss.number === number)];
}
