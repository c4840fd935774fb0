import { invariant } from "../../base/invariant.ts";
import type { Entry, HardState, SnapshotMeta, Write } from "../raft/types.ts";
import type { Wal } from "../wal/wal.ts";

export interface WalWriterOptions {
  readonly wal: Pick<Wal, "append">;
  /** A batch takes rounds until it has this many bytes of entries. */
  readonly batchBytes: number;
  /** What was applied so far is not to be replaced yet: false holds a snapshot, and what follows it, back. */
  readonly mayInstall: () => boolean;
  /** Starts log and state over from a received snapshot; resolves when both are durable. */
  readonly install: (snapshot: SnapshotMeta, hardState: HardState) => Promise<void>;
  readonly onPersisted: (writes: readonly Write[]) => void;
  /** Nothing is written after it. */
  readonly onError: (error: unknown) => void;
}

/**
 * Takes rounds to the WAL, one write and one sync at a time; the rounds that come meanwhile go together into the next.
 * Bounded by the core, which hands out no more than its uncommitted bytes, or what a leader has in flight to it.
 */
export class WalWriter {
  readonly #options: WalWriterOptions;
  readonly #queue: Write[] = [];
  #writing: Promise<void> | undefined;
  #isStopped = false;
  /** Of rounds that needed no sync; goes with the next one that does. */
  #heldHardState: HardState | undefined;

  constructor(options: WalWriterOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#writing === undefined && this.#queue.length === 0;
  }

  add(write: Write): void {
    this.#queue.push(write);
  }

  /**
   * Begins to write what was added, unless a write is under way. Returns the rounds that had nothing for the disk and
   * waited for nothing: they are done now, and there may be more to start.
   */
  start(): readonly Write[] {
    const first = this.#queue[0];
    if (this.#isStopped || this.#writing !== undefined || first === undefined) return [];
    if (first.snapshot !== undefined) {
      if (this.#options.mayInstall()) this.#begin(this.#install(first, first.snapshot), [first]);
      return [];
    }
    const { writes, entries, mustSync } = this.#takeBatch();
    if (!mustSync) return writes;
    const hardState = this.#heldHardState;
    this.#heldHardState = undefined;
    this.#begin(this.#options.wal.append({ hardState, entries }), writes);
    return [];
  }

  /** Begins no more writes; resolves when the one under way is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
  }

  #begin(work: Promise<void>, writes: readonly Write[]): void {
    this.#writing = work.then(
      () => {
        this.#writing = undefined;
        this.#options.onPersisted(writes);
      },
      (error: unknown) => {
        this.#isStopped = true;
        this.#options.onError(error);
      },
    );
  }

  /** The entries that came with the snapshot follow it in the log. */
  async #install(write: Write, snapshot: SnapshotMeta): Promise<void> {
    this.#queue.shift();
    const hardState = write.hardState ?? this.#heldHardState;
    this.#heldHardState = undefined;
    invariant(hardState !== undefined, "a snapshot moves the commit, and with it the hard state");
    await this.#options.install(snapshot, hardState);
    if (write.entries.length > 0) {
      await this.#options.wal.append({ hardState: undefined, entries: write.entries });
    }
  }

  #takeBatch(): {
    readonly writes: readonly Write[];
    readonly entries: readonly Entry[];
    readonly mustSync: boolean;
  } {
    const entries: Entry[] = [];
    const writes: Write[] = [];
    let mustSync = false;
    let bytes = 0;
    for (let write = this.#queue[0]; write !== undefined; write = this.#queue[0]) {
      const first = write.entries[0];
      const last = entries.at(-1);
      if (write.snapshot !== undefined) break;
      // A round that replaces a tail begins a batch of its own: the entries of a batch are contiguous.
      if (first !== undefined && last !== undefined && first.index !== last.index + 1) break;
      if (bytes >= this.#options.batchBytes) break;
      this.#queue.shift();
      this.#heldHardState = write.hardState ?? this.#heldHardState;
      mustSync ||= write.mustSync;
      writes.push(write);
      for (const entry of write.entries) {
        entries.push(entry);
        bytes += entry.data.byteLength;
      }
    }
    return { writes, entries, mustSync };
  }
}
