import { StoreError } from "../proto/errors.ts";
import type { Wal } from "../wal/wal.ts";
import type { ApplyQueue } from "./apply-queue.ts";
import type { CompactionSteps } from "./compaction-steps.ts";
import type { Flusher } from "./flusher.ts";
import type { Leadership } from "./leadership.ts";
import type { SnapshotExchange } from "./snapshot-exchange.ts";
import type { Ticker } from "./ticker.ts";
import type { WaitingCalls } from "./waiting-calls.ts";
import type { WalWriter } from "./wal-writer.ts";

type Phase = "running" | "closing" | "closed" | "failed";

/** What a loop is made of, as far as it has an end. */
export interface LoopParts {
  readonly calls: Pick<WaitingCalls, "stop" | "abort">;
  readonly toApply: Pick<ApplyQueue, "abandon">;
  readonly compaction: Pick<CompactionSteps, "rejectAll">;
  readonly leadership: Pick<Leadership, "handOver">;
  readonly ticker: Pick<Ticker, "stop">;
  readonly snapshots: Pick<SnapshotExchange, "close">;
  readonly flusher: Pick<Flusher, "flushAll" | "settled">;
  readonly writer: Pick<WalWriter, "stop">;
  readonly wal: Pick<Wal, "close">;
}

/** How a loop ends: closed, when what it has accepted is done, or failed, at once. */
export class Shutdown {
  readonly #parts: LoopParts;
  readonly #onFatal: (error: unknown) => void;
  #phase: Phase = "running";
  #failure: unknown;
  readonly #drained = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;

  constructor(parts: LoopParts, options: { readonly onFatal: (error: unknown) => void }) {
    this.#parts = parts;
    this.#onFatal = options.onFatal;
  }

  get isRunning(): boolean {
    return this.#phase === "running";
  }

  /** The loop has nothing more to do. */
  get isOver(): boolean {
    return this.#phase === "failed" || this.#phase === "closed";
  }

  /** Undefined while it has not failed. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Nothing that was accepted is left to do: one that closes goes on. */
  idle(): void {
    if (this.#phase === "closing") this.#drained.resolve();
  }

  fail(error: unknown): void {
    if (this.isOver) return;
    this.#phase = "failed";
    this.#failure = error;
    const { calls, toApply, compaction, ticker } = this.#parts;
    calls.abort();
    toApply.abandon();
    compaction.rejectAll(new StoreError("Stopped"));
    void ticker.stop();
    this.#drained.resolve();
    this.#onFatal(error);
  }

  /** Ends or awaits the calls, hands leadership over, flushes the state and closes the WAL. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { calls, compaction, leadership, ticker, snapshots, flusher, writer, wal } = this.#parts;
    if (this.#phase === "running") {
      this.#phase = "closing";
      calls.stop();
    }
    compaction.rejectAll(new StoreError("Stopped"));
    await this.#drained.promise;
    if (this.#phase === "closing") await leadership.handOver();
    await ticker.stop();
    await snapshots.close();
    try {
      if (this.#phase === "closing") await flusher.flushAll();
    } finally {
      this.#phase = this.#phase === "failed" ? "failed" : "closed";
      await writer.stop();
      await flusher.settled();
      await wal.close();
    }
  }
}
