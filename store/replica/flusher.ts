import type { StateMachine } from "../apply/types.ts";
import type { RaftCore } from "../raft/types.ts";
import type { Wal } from "../wal/wal.ts";

/**
 * Makes applied state durable in the background, by bytes and by time, and then lets go of the log below it: log and
 * WAL are cut only below an applied index that is flushed.
 */
export class Flusher {
  readonly #state: Pick<StateMachine, "flush" | "flushedIndex">;
  readonly #core: Pick<RaftCore, "compact" | "status">;
  readonly #wal: Pick<Wal, "cut">;
  readonly #limits: FlushLimits;
  readonly #onError: (error: unknown) => void;
  /** When the oldest change that no flush covers was made; undefined: there is none. */
  #dirtySinceMs: number | undefined;
  #dirtyBytes = 0;
  #flushingBytes = 0;
  #flushing: Promise<void> | undefined;
  #isHeld = false;

  constructor(options: {
    readonly state: Pick<StateMachine, "flush" | "flushedIndex">;
    readonly core: Pick<RaftCore, "compact" | "status">;
    readonly wal: Pick<Wal, "cut">;
    readonly limits: FlushLimits;
    readonly onError: (error: unknown) => void;
  }) {
    this.#state = options.state;
    this.#core = options.core;
    this.#wal = options.wal;
    this.#limits = options.limits;
    this.#onError = options.onError;
  }

  /** The state changed; `bytes` is what the entries carried. */
  changed(bytes: number, nowMs: number): void {
    this.#dirtySinceMs ??= nowMs;
    this.#dirtyBytes += bytes;
  }

  /** True while more is applied and not flushed than the limit: the log in memory must not outgrow a slow backend. */
  get isBehind(): boolean {
    return this.#dirtyBytes + this.#flushingBytes > this.#limits.unflushedBytes;
  }

  /** Begins a flush when one is due and none is under way. */
  flushIfDue(nowMs: number): void {
    if (this.#isHeld || this.#flushing !== undefined || this.#dirtySinceMs === undefined) return;
    const isDue =
      this.#dirtyBytes >= this.#limits.flushBytes || nowMs - this.#dirtySinceMs >= this.#limits.flushMs;
    if (!isDue) return;
    this.#dirtySinceMs = undefined;
    this.#flushingBytes = this.#dirtyBytes;
    this.#dirtyBytes = 0;
    this.#flushing = this.#flush().then(
      () => {
        this.#flushing = undefined;
        this.#flushingBytes = 0;
      },
      (error: unknown) => this.#onError(error),
    );
  }

  /** Waits for the flush that is under way, then makes everything durable. */
  async flushAll(): Promise<void> {
    await this.#flushing;
    await this.#flush();
  }

  /** Runs work during which log and state are replaced: the flush that is under way ends before, and none begins. */
  async holding(work: () => Promise<void>): Promise<void> {
    this.#isHeld = true;
    try {
      await this.#flushing;
      await work();
    } finally {
      this.#isHeld = false;
    }
  }

  /** Resolves when no flush is under way; its error has gone to `onError`. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    await this.#state.flush();
    const { keptEntries: entries, keptBytes: bytes } = this.#limits;
    // A snapshot is in the state before the core is told so.
    const index = Math.min(this.#state.flushedIndex, this.#core.status.applied);
    await this.#wal.cut(this.#core.compact(index, { entries, bytes }));
  }
}

export interface FlushLimits {
  /** Bytes of applied entries after which a flush begins. */
  readonly flushBytes: number;
  /** Age of the oldest unflushed change after which one begins, checked every tick. */
  readonly flushMs: number;
  /** Bytes of entries that may be applied and not flushed before proposals are refused. */
  readonly unflushedBytes: number;
  /** Entries, and bytes of them, that stay in the log though they are flushed, for followers that lag (etcd SnapshotCatchUpEntries). */
  readonly keptEntries: number;
  readonly keptBytes: number;
}
