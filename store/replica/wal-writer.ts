import type { Entry, EntryId, HardState, Ready } from "../raft/types.ts";
import type { Wal } from "../wal/wal.ts";

type Round = Ready & { readonly write: EntryId };

/**
 * Takes rounds to the WAL, one write and one sync at a time; the rounds that come meanwhile go together into the next.
 * Bounded by the core, which hands out no more than its uncommitted bytes.
 */
export class WalWriter {
  readonly #wal: Pick<Wal, "append">;
  readonly #batchBytes: number;
  readonly #onPersisted: (writes: readonly EntryId[]) => void;
  readonly #onError: (error: unknown) => void;
  readonly #queue: Round[] = [];
  #writing: Promise<void> | undefined;
  #isStopped = false;

  /** A batch takes rounds until it has `batchBytes`. Nothing is written after `onError`. */
  constructor(options: {
    readonly wal: Pick<Wal, "append">;
    readonly batchBytes: number;
    readonly onPersisted: (writes: readonly EntryId[]) => void;
    readonly onError: (error: unknown) => void;
  }) {
    this.#wal = options.wal;
    this.#batchBytes = options.batchBytes;
    this.#onPersisted = options.onPersisted;
    this.#onError = options.onError;
  }

  get isIdle(): boolean {
    return this.#writing === undefined && this.#queue.length === 0;
  }

  add(round: Ready, write: EntryId): void {
    this.#queue.push({ ...round, write });
  }

  /** Begins to write what was added, unless a write is under way; it goes on by itself with what comes meanwhile. */
  start(): void {
    if (this.#isStopped || this.#writing !== undefined || this.#queue.length === 0) return;
    const batch = this.#takeBatch();
    this.#writing = this.#wal.append(batch).then(
      () => {
        this.#writing = undefined;
        this.#onPersisted(batch.writes);
        this.start();
      },
      (error: unknown) => {
        this.#isStopped = true;
        this.#onError(error);
      },
    );
  }

  /** Begins no more writes; resolves when the one under way is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
  }

  #takeBatch(): {
    readonly hardState: HardState | undefined;
    readonly entries: readonly Entry[];
    readonly writes: readonly EntryId[];
  } {
    const entries: Entry[] = [];
    const writes: EntryId[] = [];
    let hardState: HardState | undefined;
    let bytes = 0;
    for (let round = this.#queue[0]; round !== undefined; round = this.#queue[0]) {
      const first = round.entries[0];
      const last = entries.at(-1);
      // A round that replaces a tail begins a batch of its own: the entries of a batch are contiguous.
      if (first !== undefined && last !== undefined && first.index !== last.index + 1) break;
      if (bytes >= this.#batchBytes) break;
      this.#queue.shift();
      hardState = round.hardState ?? hardState;
      writes.push(round.write);
      for (const entry of round.entries) {
        entries.push(entry);
        bytes += entry.data.byteLength;
      }
    }
    return { hardState, entries, writes };
  }
}
