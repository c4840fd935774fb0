import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { systemLater } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { runInSlices } from "../../base/steps.ts";
import { addRemoved, newAccount, type RemovedSums } from "./account.ts";
import { AppliedEntries } from "./applied-entries.ts";
import { type CheckpointContent, encodeInSteps, snapshotOf } from "./checkpoint-codec.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { mintFileId } from "./file-id.ts";
import { FreshRecords } from "./fresh-records.ts";
import type { Folders } from "./inodes-in.ts";
import { LongGone, lossesOfGone } from "./long-gone.ts";
import type { Loss, LossRecord } from "./loss.ts";
import { LossJournal } from "./loss-journal.ts";
import { CURRENT_FILE, readNewest } from "./read-newest.ts";
import type { BytesHash, CheckpointRecord, FileIdentity } from "./record.ts";
import { changeFolder, cutBack, reach, see } from "./record-changes.ts";
import { RecordIndex } from "./record-index.ts";
import { writeNewest } from "./write-newest.ts";

export interface CheckpointStoreOptions {
  readonly folder: string;
  readonly disk: Disk;
  /** Where files are that were not held for long. */
  readonly folders: Folders;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * How far each file is shipped, in memory and on disk. Records are changed in place by the task that holds the file, which
 * then calls `touch()`; writes are gathered. A write that fails stops nothing: it is logged, shown by `healthy`, and tried again.
 */
export class CheckpointStore implements AsyncDisposable {
  /** True when checkpoints were there and none could be used: every file counts as never read, also for `from: end`. */
  readonly lostEverything: boolean;
  readonly #options: CheckpointStoreOptions;
  readonly #records = new RecordIndex();
  readonly #applied: AppliedEntries;
  readonly #removed: RemovedSums;
  readonly #losses: LossJournal;
  readonly #longGone: LongGone;
  readonly #fresh = new FreshRecords();
  readonly #writer: CheckpointWriter;

  private constructor(
    options: CheckpointStoreOptions,
    { content, isLost, losses }: { content: CheckpointContent; isLost: boolean; losses: LossJournal },
  ) {
    this.#options = options;
    this.#losses = losses;
    this.#removed = { ...content.removed };
    this.lostEverything = isLost;
    this.#applied = new AppliedEntries(content.entries);
    this.#longGone = new LongGone(options);
    for (const record of content.records) {
      if (!content.isClosed) record.isUnsure = true;
      this.#records.add(record);
    }
    this.#writer = new CheckpointWriter({
      path: join(options.folder, CURRENT_FILE),
      clock: options.clock,
      logger: options.logger,
      prepare: () => this.#prune(),
      write: (how) => this.#write(how),
      ended: (version) => this.#fresh.written(version),
    });
  }

  /**
   * Reads the newest checkpoints that are whole. Throws CodedError "ECHECKPOINT_VERSION" or "ELOSSES_VERSION" when they are
   * of a newer version, and "EUNREADABLE" when they cannot be read at all.
   */
  static async open(options: CheckpointStoreOptions): Promise<CheckpointStore> {
    await options.disk.makeFolder(options.folder);
    const { content, isLost } = await readNewest(options);
    const losses = await LossJournal.open(options, content);
    return new CheckpointStore(options, { content, isLost, losses });
  }

  /** Where they are; others may keep things beside them. */
  get folder(): string {
    return this.#options.folder;
  }

  /** False while the last write has failed. */
  get healthy(): boolean {
    return this.#writer.failure === undefined;
  }

  /** What the last write failed with, as a sentence. */
  get failure(): string | undefined {
    return this.#writer.failure;
  }

  /** Every record. */
  records(): Iterable<CheckpointRecord> {
    return this.#records.all();
  }

  /** Those of the files that an entry shipped last. */
  recordsOf(entryPath: string): Iterable<CheckpointRecord> {
    return this.#records.ofEntry(entryPath);
  }

  /** An entry ships the file from now on. */
  assign(
    record: CheckpointRecord,
    { entry, topic }: { readonly entry: string; readonly topic: string },
  ): void {
    this.#records.assign(record, entry);
    record.topic = topic;
    this.touch();
  }

  /** Records of this inode and birth time, those of the same device first. */
  find(identity: FileIdentity): readonly CheckpointRecord[] {
    return this.#records.find(identity);
  }

  /**
   * Adds a record under a new id. Nothing may be sent under that id before `durable()` has resolved. It is written at once
   * all the same: a file that waits for its turn is found by its record alone, if it is rotated while no agent runs.
   */
  mint(fields: Omit<CheckpointRecord, "id" | "account">): CheckpointRecord {
    const account = newAccount(fields.seen, fields.offset);
    const record = { id: mintFileId(this.#options.random), ...fields, account };
    this.#records.add(record);
    this.touch();
    this.#fresh.add(record, this.#writer.version);
    void this.persisted();
    return record;
  }

  /** Resolves when the id of a record and its first fingerprint are on disk, or cannot be written. Never rejects. */
  durable(record: CheckpointRecord): Promise<void> {
    return this.#fresh.has(record) ? this.persisted() : Promise.resolve();
  }

  /**
   * Sets the hash of a head that has grown. The first one counts like the id: on disk before anything is sent, because a
   * record without one matches any content, and two contents must not share an id.
   */
  setFingerprint(record: CheckpointRecord, fingerprint: BytesHash): void {
    if (record.fingerprint.length === 0) this.#fresh.add(record, this.#writer.version + 1);
    record.fingerprint = fingerprint;
    this.touch();
  }

  /** A file has had so many bytes when it was looked at. */
  saw(record: CheckpointRecord, size: number): void {
    if (see(record, size)) this.touch();
  }

  /** A file was seen to have so many bytes, and nothing could be compared. */
  doubted(record: CheckpointRecord, size: number): void {
    if (size <= Math.max(record.seen, record.doubted ?? 0)) return;
    record.doubted = size;
    this.touch();
  }

  /** What was doubted of a file that is gone counts as seen. */
  believe(record: CheckpointRecord): void {
    this.saw(record, record.doubted ?? 0);
    delete record.doubted;
  }

  /** A file was found in a folder, whatever its name there. */
  foundIn(record: CheckpointRecord, folder: string): void {
    if (changeFolder(record, folder)) this.touch();
  }

  /** A file was sent, or seen, as far as `to`; `tail` is of the bytes before that. */
  reached(record: CheckpointRecord, to: number, tail: BytesHash): void {
    if (reach(record, to, tail)) this.touch();
  }

  /** A file has become as short as `size`; what was read of it, as far as `read`, is as it was. */
  cutBack(
    record: CheckpointRecord,
    size: number,
    read: { readonly offset: number; readonly tail: BytesHash },
  ): void {
    if (cutBack(record, size, read)) this.touch();
  }

  /** Newest first, a few. */
  get newestLosses(): readonly LossRecord[] {
    return this.#losses.newest;
  }

  /** Enters a loss: its record is on disk before a checkpoint is that knows of it. */
  lost(record: CheckpointRecord, loss: Loss): LossRecord {
    this.touch();
    return this.#losses.note(record, loss, this.#options.clock.wallMs());
  }

  /** Forgets a file that is gone, or whose content was replaced. */
  remove(record: CheckpointRecord): void {
    if (!this.#records.remove(record)) return;
    addRemoved(this.#removed, record.account);
    this.#fresh.remove(record);
    this.touch();
  }

  /** Has an entry with this path been applied before? */
  wasApplied(entryPath: string): boolean {
    return this.lostEverything || this.#applied.has(entryPath);
  }

  /** When an agent has applied it last, milliseconds since the Unix epoch. */
  appliedAtMs(entryPath: string): number | undefined {
    return this.#applied.atMs(entryPath);
  }

  /** All that were applied, and when last; what is applied from now on is not in it. */
  appliedEntries(): ReadonlyMap<string, number> {
    return this.#applied.all();
  }

  markApplied(entryPath: string): void {
    this.#applied.mark(entryPath, this.#options.clock.wallMs());
    this.touch();
  }

  /** Says that a record has changed: it is on disk within a second, or more where there are thousands of records. */
  touch(): void {
    this.#writer.touch();
  }

  /** Resolves when everything changed so far is durable, or could not be written (see `healthy`). Never rejects. */
  persisted(): Promise<void> {
    return this.#writer.persisted();
  }

  /** Writes what is not written. Idempotent. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #write(how: { readonly isLast: boolean; readonly isRepeated: boolean }): Promise<number> {
    const { folder, disk, clock } = this.#options;
    const content = snapshotOf({
      records: this.#records.all(),
      entries: this.#applied.all(),
      removed: this.#removed,
      losses: this.#losses.state.last,
      isClosed: how.isLast,
    });
    const parts = await runInSlices({ clock, later: systemLater })(encodeInSteps(content));
    // It may have been removed, by mistake, under a running agent.
    if (how.isRepeated) await disk.makeFolder(folder);
    await this.#losses.flush();
    return await writeNewest(disk, folder, parts);
  }

  async #prune(): Promise<void> {
    const { logger } = this.#options;
    for (const record of await this.#longGone.among(this.#records.all())) {
      for (const loss of lossesOfGone(record))
        logger.error({ loss: this.lost(record, loss) }, "bytes are lost");
      logger.info({ file: record.id, path: record.path }, "checkpoint of a file long gone is removed");
      this.remove(record);
    }
  }
}
