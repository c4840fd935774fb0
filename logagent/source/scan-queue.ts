import { setImmediate as nextTurn } from "node:timers/promises";
import PQueue from "p-queue";
import { FolderIndex } from "./folder-index.ts";
import { MountTable } from "./mount-table.ts";

/** Scans that go on at one time, for all tasks of an agent; each turn of the event loop begins no more than these. */
export const SCANS_AT_ONCE_MAX = 4;

/**
 * Lets the tasks of an agent look through their folders a few at a time: a thousand that start or are due together would
 * hold up the event loop, and with it every delivery. Holds no more scans than there are tasks, for each waits for its own.
 */
export class ScanQueue {
  /** What the scans of all tasks know of folders. */
  readonly folders: FolderIndex;
  /** Where none of them may look. */
  readonly mounts: MountTable;
  readonly #queue = new PQueue({ concurrency: SCANS_AT_ONCE_MAX });
  /** What further scans wait for. */
  #holdUps = 0;

  constructor(mounts: MountTable = new MountTable()) {
    this.mounts = mounts;
    this.folders = new FolderIndex(mounts);
  }

  /** Scans that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Does something of which no further scan begins before it has ended. */
  async runFirst(work: () => Promise<void>): Promise<void> {
    this.#holdUps += 1;
    this.#queue.pause();
    try {
      await work();
    } finally {
      this.#holdUps -= 1;
      if (this.#holdUps === 0) this.#queue.start();
    }
  }

  /**
   * Resolves when `scan` has ended. Rejects with the signal's reason when that comes before it began; one that has begun is
   * waited for, and is to watch the signal itself.
   */
  async run(scan: () => Promise<void>, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    signal.throwIfAborted();
    const waiting = new AbortController();
    const leave = () => waiting.abort(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    const begin = async () => {
      // A short scan never waits: without this the next would follow in the same turn, and so would all of them.
      await nextTurn();
      signal.removeEventListener("abort", leave);
      signal.throwIfAborted();
      await scan();
    };
    try {
      await this.#queue.add(begin, { signal: waiting.signal });
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }
}
