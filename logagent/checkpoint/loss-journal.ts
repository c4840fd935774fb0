import { join } from "node:path";
import { readWholeFile } from "../../base/atomic-file.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { cutTornLine } from "../../base/torn-line.ts";
import { cannotRead } from "./cannot-read.ts";
import type { CheckpointContent } from "./checkpoint-codec.ts";
import { decodeJournal, type JournalFile } from "./decode-journal.ts";
import { type Loss, type LossRecord, lostBytes } from "./loss.ts";
import { encodeLoss, type JournaledLoss, type LossTotals, weightOf } from "./loss-line.ts";
import { lossState } from "./loss-state.ts";
import type { CheckpointRecord } from "./record.ts";

export const LOSSES_FILE = "losses.jsonl";
export const LOSSES_PREVIOUS_FILE = "losses.previous.jsonl";
/** A journal that would grow beyond this becomes the previous one, whose records are then forgotten; sums are not. */
export const LOSSES_BYTES_MAX = 8 * 1024 * 1024;
/** Records that wait while the disk takes none; further ones are summed up in the last. */
export const LOSSES_PENDING_MAX = 1_000;
/** The newest are kept at hand, for a status. */
export const LOSSES_NEWEST_MAX = 5;

export interface LossJournalOptions {
  readonly folder: string;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly bytesMax?: number;
}

/** What the checkpoints say of the losses so far. */
export interface LossState {
  /** Number of the last one. */
  readonly last: number;
  readonly totals: LossTotals;
}

/**
 * What was lost, a line for each time: bounded, and durable before any checkpoint is that passes over the bytes. Records are
 * noted in memory, and written by `flush()`, of which there is one at a time.
 */
export class LossJournal {
  readonly #options: LossJournalOptions;
  #pending: JournaledLoss[] = [];
  #newest: readonly LossRecord[];
  #lastNumber: number;
  /** The last of the account. */
  #last: LossState;

  private constructor(options: LossJournalOptions, known: readonly JournaledLoss[], state: LossState) {
    this.#options = options;
    this.#newest = known.slice(-LOSSES_NEWEST_MAX).reverse();
    this.#lastNumber = known.reduce((last, { number }) => Math.max(last, number), state.last);
    this.#last = state;
  }

  /** Goes on where the checkpoints left off. Throws CodedError "ELOSSES_VERSION" or "EUNREADABLE". */
  static async open(options: LossJournalOptions, checkpoints: CheckpointContent): Promise<LossJournal> {
    const { folder, disk, logger } = options;
    const current = await readJournalFile(disk, join(folder, LOSSES_FILE));
    const previous = await readJournalFile(disk, join(folder, LOSSES_PREVIOUS_FILE));
    const { losses, damaged, tornFrom } = decodeJournal({ previous, current }, checkpoints.losses);
    const { losses: last } = checkpoints;
    if (last > 0 && !losses.some(({ number }) => number === last)) {
      logger.warn(
        { folder, last },
        "the last loss record is not in the journal; the sums in the checkpoints stand",
      );
    }
    if (damaged.length > 0) logger.error({ folder, damaged }, "loss records are damaged");
    if (tornFrom !== undefined) await cutBack(disk, current.path, tornFrom);
    return new LossJournal(options, losses, lossState(checkpoints));
  }

  /** Newest first. */
  get newest(): readonly LossRecord[] {
    return this.#newest;
  }

  get state(): LossState {
    return this.#last;
  }

  /** Enters a loss in the record's account as well; what is known of it reaches to what was seen of its file. */
  note(record: CheckpointRecord, loss: Loss, noticedAtMs: number): LossRecord {
    const { id: file, path, entry, topic, offset: acked, account } = record;
    const said: LossRecord = { file, path, entry, topic, ...loss, noticedAtMs };
    const weight = weightOf(said);
    const totals = sum(this.#last.totals, weight);
    const full = this.#pending.length >= LOSSES_PENDING_MAX ? this.#pending.at(-1) : undefined;
    if (full === undefined) {
      this.#lastNumber += 1;
      const number = this.#lastNumber;
      this.#pending.push({ ...said, number, after: this.#last.last, acked, seen: account.seen, totals });
    } else {
      const { records = 0, ...before } = full.others ?? { bytes: 0, unknown: 0 };
      const others = { ...sum(before, weight), records: records + 1 };
      this.#pending = [...this.#pending.slice(0, -1), { ...full, totals, others }];
    }
    this.#last = { last: this.#lastNumber, totals };
    this.#newest = [said, ...this.#newest].slice(0, LOSSES_NEWEST_MAX);
    account.lost += lostBytes(loss);
    if (loss.to === "unknown") account.lossesUnknown += 1;
    else record.seen = loss.from;
    return said;
  }

  /** Durable is what was noted before, when it resolves. After a rejection it is tried again with the next one. */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const taken = [...this.#pending];
    await this.#append(Buffer.concat(taken.map(encodeLoss)));
    // One to which others were added meanwhile is written again.
    this.#pending = this.#pending.filter((loss) => !taken.includes(loss));
  }

  async #append(bytes: Buffer): Promise<void> {
    const { folder, disk, bytesMax = LOSSES_BYTES_MAX } = this.#options;
    const path = join(folder, LOSSES_FILE);
    const size = await this.#write(path, bytes, bytesMax);
    if (size === undefined) {
      await disk.rename(path, join(folder, LOSSES_PREVIOUS_FILE));
      await this.#write(path, bytes, Number.POSITIVE_INFINITY);
    }
    await disk.syncFolder(folder);
  }

  /** Undefined: there is something in the file, and together it would be too much. */
  async #write(path: string, bytes: Buffer, bytesMax: number): Promise<number | undefined> {
    const { disk } = this.#options;
    const file = await disk.open(path, { create: true });
    try {
      const size = await cutTornLine(file);
      if (size > 0 && size + bytes.length > bytesMax) return undefined;
      await file.write([bytes], size);
      await file.sync();
      return size + bytes.length;
    } finally {
      await file.close();
    }
  }
}

function sum(a: LossTotals, b: LossTotals): LossTotals {
  return { bytes: a.bytes + b.bytes, unknown: a.unknown + b.unknown };
}

async function readJournalFile(disk: Disk, path: string): Promise<JournalFile> {
  try {
    return { path, bytes: await readWholeFile(disk, path) };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return { path, bytes: Buffer.alloc(0) };
    throw cannotRead("loss records", path, error);
  }
}

/** What a power cut left would later stand between whole lines, where it counts as damage. */
async function cutBack(disk: Disk, path: string, length: number): Promise<void> {
  const file = await disk.open(path, { create: false });
  try {
    await file.truncate(length);
    await file.sync();
  } finally {
    await file.close();
  }
}
