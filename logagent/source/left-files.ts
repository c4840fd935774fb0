import { closeSync } from "node:fs";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { lossesOfRest } from "../checkpoint/loss.ts";
import type { CheckpointRecord, FileIdentity } from "../checkpoint/record.ts";
import type { FileClaims } from "./file-claims.ts";
import type { HeldFile, OpenFiles } from "./open-files.ts";
import { keyOf } from "./tailed-file.ts";

/** Whoever is to go on with a file has so long to come for it. */
export const LEFT_MS = 60_000;

/** A deleted file that is not shipped to its end, and whose task has let go of it. */
export interface LeftFile {
  readonly fd: number;
  readonly identity: FileIdentity;
  readonly record: CheckpointRecord;
  /** The path whose turns it took. */
  readonly lanePath: string;
}

interface Waiting {
  readonly file: LeftFile;
  readonly held: HeldFile;
  readonly taken: AbortController;
}

/**
 * Deleted files on their way from a task that ends, because its entry has changed, to the one that goes on with them: they have no
 * name by which it could find them. There are no more of them than files may be open, among which they count. One for all tasks.
 */
export class LeftFiles {
  readonly #options: LeftFilesOptions;
  /** By the key of the file, in the order in which they were left. */
  readonly #waiting = new Map<string, Waiting>();
  /** Let go because the agent ends. */
  readonly #abandoned = { files: 0, bytes: 0, first: "" };
  #isClosed = false;

  constructor(options: LeftFilesOptions) {
    this.#options = options;
  }

  /** False: the agent ends, and nobody comes any more. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Takes over the descriptor of a file that nobody claims. */
  leave(file: LeftFile): void {
    const { claims, openFiles } = this.#options;
    const key = keyOf(file.identity);
    const held: HeldFile = { key, hold: { kind: "bound" }, givesWaySinceMs: undefined };
    const waiting = { file, held, taken: new AbortController() };
    claims.take(file.identity, this);
    openFiles.add(held);
    this.#waiting.set(key, waiting);
    void this.#giveUpLater(waiting);
  }

  /** The files that an entry goes on with, oldest first; whoever asks has their descriptors from now on, and claims them. */
  takeFor(entryPath: string): readonly LeftFile[] {
    const mine = [...this.#waiting.values()].filter(({ file }) => this.#ownerOf(file) === entryPath);
    for (const waiting of mine) this.#release(waiting);
    return mine.map(({ file }) => ({ ...file, lanePath: this.#laneOf(file) }));
  }

  /** A deleted file that is not shipped to its end is let go because the agent ends; `sayAbandoned` tells of it. */
  abandon({ path, seen, offset }: Pick<CheckpointRecord, "path" | "seen" | "offset">): void {
    if (this.#abandoned.files === 0) this.#abandoned.first = path;
    this.#abandoned.files += 1;
    this.#abandoned.bytes += Math.max(0, seen - offset);
  }

  /** When all tasks have ended: one line for all that is gone with this agent. */
  sayAbandoned(): void {
    const { files, bytes, first } = this.#abandoned;
    if (files === 0) return;
    this.#abandoned.files = 0;
    this.#abandoned.bytes = 0;
    this.#options.logger.error(
      { files, bytes, first },
      "deleted files are let go unshipped because the agent stops; what is not found compressed at the next start is lost",
    );
  }

  /**
   * The agent ends. The next life says what is lost of files that an entry owns; of others it is said now, for then there may be nobody
   * who looks for them. Idempotent.
   */
  close(): void {
    this.#isClosed = true;
    for (const waiting of [...this.#waiting.values()]) {
      if (this.#ownerOf(waiting.file) === undefined) this.#giveUp(waiting);
      else {
        this.abandon(waiting.file.record);
        this.#drop(waiting);
      }
    }
  }

  async #giveUpLater(waiting: Waiting): Promise<void> {
    const { signal } = waiting.taken;
    try {
      await this.#options.clock.sleep(LEFT_MS, { signal });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#giveUp(waiting);
  }

  #giveUp(waiting: Waiting): void {
    const { checkpoints, logger } = this.#options;
    const { record } = waiting.file;
    for (const loss of lossesOfRest(record, record.offset, "deleted, and left by its entry"))
      logger.error({ loss: checkpoints.lost(record, loss) }, "bytes are lost");
    record.seen = record.offset;
    record.isResting = true;
    checkpoints.touch();
    this.#drop(waiting);
  }

  #drop(waiting: Waiting): void {
    this.#release(waiting);
    closeSync(waiting.file.fd);
  }

  #release({ held, taken }: Waiting): void {
    const { claims, openFiles } = this.#options;
    taken.abort(new Error("nobody is waited for any more"));
    openFiles.delete(held);
    claims.release(held.key, this);
    this.#waiting.delete(held.key);
  }

  /** Of a file that was never seen but where it was moved to, no path is anybody's: it stays with its entry. */
  #ownerOf(file: LeftFile): string | undefined {
    const { claims } = this.#options;
    return claims.ownerOf(this.#laneOf(file)) ?? claims.known(file.record.entry);
  }

  /** The path at which it was first, if anybody ships that. */
  #laneOf({ record, lanePath }: LeftFile): string {
    return this.#options.claims.ownerOf(record.path) === undefined ? lanePath : record.path;
  }
}

export interface LeftFilesOptions {
  readonly checkpoints: CheckpointStore;
  readonly claims: FileClaims;
  readonly openFiles: OpenFiles;
  readonly clock: Clock;
  readonly logger: Logger;
}
