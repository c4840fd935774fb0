import { dirname, join } from "node:path";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { type CheckpointContent, encodeCheckpoints } from "./checkpoint-codec.ts";
import { mintFileId } from "./file-id.ts";
import { goneRecords } from "./gone-records.ts";
import { CURRENT_FILE, PREVIOUS_FILE, readNewest } from "./read-newest.ts";
import type { BytesHash, CheckpointRecord, FileIdentity } from "./record.ts";
import { RecordIndex } from "./record-index.ts";

/** Progress is written at most this often: what a crash may make the agent send again. */
export const CHECKPOINT_INTERVAL_MS = 1_000;
/** How often a write that failed is tried again. */
export const CHECKPOINT_RETRY_MS = 5_000;
/** A record whose file has not been held for so long is removed, once the file is really gone. */
export const RECORD_KEEP_MS = 24 * 3600 * 1000;
/** How often they are looked for; the first time not before every entry had time to find its files. */
export const PRUNE_INTERVAL_MS = 10 * 60 * 1000;

export interface CheckpointStoreOptions {
  readonly folder: string;
  readonly disk: Disk;
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
  readonly #entries: Map<string, number>;
  /** Of an agent that died: more was sent of their files, perhaps, than they say. */
  readonly #unsure: Set<CheckpointRecord>;
  /** Minted, or fingerprinted for the first time, and not yet on disk. */
  readonly #fresh = new Set<CheckpointRecord>();
  readonly #closing = new AbortController();
  #version = 0;
  #durableVersion = 0;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #scheduled = false;
  #failure: string | undefined;
  #prunedAtMs: number;

  private constructor(options: CheckpointStoreOptions, content: CheckpointContent, lostEverything: boolean) {
    this.#options = options;
    this.lostEverything = lostEverything;
    this.#entries = new Map(content.entries);
    this.#unsure = new Set(content.isClosed ? [] : content.records);
    this.#prunedAtMs = options.clock.monotonicMs();
    for (const record of content.records) this.#records.add(record);
  }

  /**
   * Reads the newest checkpoints that are whole. Throws CodedError "ECHECKPOINT_VERSION" when they are of a newer
   * version, and what the disk throws when they cannot be read at all.
   */
  static async open(options: CheckpointStoreOptions): Promise<CheckpointStore> {
    await options.disk.makeFolder(options.folder);
    const { content, isLost } = await readNewest(options);
    return new CheckpointStore(options, content, isLost);
  }

  /** Where they are; others may keep things beside them for as long as they live. */
  get folder(): string {
    return this.#options.folder;
  }

  /** False while the last write has failed. */
  get healthy(): boolean {
    return this.#failure === undefined;
  }

  /** What the last write failed with, as a sentence. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** May more have been sent of its file than the record says? Not while it is held, nor afterwards. */
  isUnsure(record: CheckpointRecord): boolean {
    return this.#unsure.has(record);
  }

  /** A file is held from now on, and its record says everything. */
  held(record: CheckpointRecord): void {
    this.#unsure.delete(record);
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
  mint(fields: Omit<CheckpointRecord, "id">): CheckpointRecord {
    const record = { id: mintFileId(this.#options.random), ...fields };
    this.#records.add(record);
    this.#fresh.add(record);
    this.touch();
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
    if (record.fingerprint.length === 0) this.#fresh.add(record);
    record.fingerprint = fingerprint;
    this.touch();
  }

  /** A file has had so many bytes when it was looked at. */
  saw(record: CheckpointRecord, size: number): void {
    if (size <= record.seen) return;
    record.seen = size;
    this.touch();
  }

  /** A file was found in a folder, whatever its name there. */
  foundIn(record: CheckpointRecord, folder: string): void {
    if (folder === (record.folder ?? dirname(record.path))) return;
    if (folder === dirname(record.path)) delete record.folder;
    else record.folder = folder;
    this.touch();
  }

  /** A file was sent, or seen, as far as `to`; `tail` is of the bytes before that. */
  reached(record: CheckpointRecord, to: number, tail: BytesHash): void {
    if (to <= (record.furthest?.to ?? 0)) return;
    record.furthest = { to, tail };
    this.touch();
  }

  /** Forgets a file that is gone, or whose content was replaced. */
  remove(record: CheckpointRecord): void {
    this.#records.remove(record);
    this.#fresh.delete(record);
    this.#unsure.delete(record);
    this.touch();
  }

  /** Has an entry with this path been applied before? */
  wasApplied(entryPath: string): boolean {
    return this.lostEverything || this.#entries.has(entryPath);
  }

  markApplied(entryPath: string): void {
    this.#entries.set(entryPath, this.#options.clock.wallMs());
    this.touch();
  }

  /** Says that a record has changed: it is on disk within CHECKPOINT_INTERVAL_MS. */
  touch(): void {
    this.#version += 1;
    this.#schedule(this.healthy ? CHECKPOINT_INTERVAL_MS : CHECKPOINT_RETRY_MS);
  }

  /** Resolves when everything changed so far is durable, or could not be written (see `healthy`). Never rejects. */
  persisted(): Promise<void> {
    if (this.#durableVersion === this.#version) return Promise.resolve();
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined;
      this.#running = this.#write();
      return this.#running;
    });
    return this.#queued;
  }

  /** Writes what is not written. Idempotent. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return this.persisted();
    this.#closing.abort();
    this.#version += 1;
    await this.persisted();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #schedule(afterMs: number): void {
    const { signal } = this.#closing;
    if (this.#scheduled || signal.aborted) return;
    this.#scheduled = true;
    this.#options.clock.sleep(afterMs, { signal }).then(
      () => {
        this.#scheduled = false;
        return this.persisted();
      },
      // Aborted by close(), which writes by itself.
      () => undefined,
    );
  }

  async #write(): Promise<void> {
    const { folder, disk, logger } = this.#options;
    await this.#prune();
    const version = this.#version;
    const fresh = [...this.#fresh];
    const path = join(folder, CURRENT_FILE);
    try {
      const bytes = encodeCheckpoints({
        records: [...this.#records.all()],
        entries: this.#entries,
        isClosed: this.#closing.signal.aborted && this.#unsure.size === 0,
      });
      // It may have been removed, by mistake, under a running agent.
      if (this.#failure !== undefined) await disk.makeFolder(folder);
      await this.#keepPrevious(path);
      await writeFileAtomically(disk, path, bytes);
      this.#durableVersion = version;
      if (this.#failure !== undefined) logger.info({ path }, "checkpoints are written again");
      this.#failure = undefined;
    } catch (error) {
      const failure = `Cannot write checkpoints ${path}: ${errorMessage(error)}`;
      if (this.#failure === undefined) {
        logger.error({ path, err: error }, "checkpoints cannot be written; a restart would send lines again");
      }
      this.#failure = failure;
      this.#schedule(CHECKPOINT_RETRY_MS);
    }
    // Also when it failed: shipping goes on, at the price of other ids after a crash.
    for (const record of fresh) this.#fresh.delete(record);
  }

  /** After a failed write there is no current file, and the previous one is still the newest. */
  async #keepPrevious(path: string): Promise<void> {
    try {
      await this.#options.disk.rename(path, join(this.#options.folder, PREVIOUS_FILE));
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }

  async #prune(): Promise<void> {
    const { clock, logger } = this.#options;
    if (clock.monotonicMs() - this.#prunedAtMs < PRUNE_INTERVAL_MS) return;
    this.#prunedAtMs = clock.monotonicMs();
    const oldestMs = clock.wallMs() - RECORD_KEEP_MS;
    const stale = [...this.#records.all()].filter((record) => record.seenAtMs < oldestMs);
    for (const record of await goneRecords(stale)) {
      // Held again meanwhile.
      if (record.seenAtMs >= oldestMs) continue;
      logger.info({ file: record.id, path: record.path }, "checkpoint of a file long gone is removed");
      this.remove(record);
    }
  }
}
