import type { StoreError } from "../proto/errors.ts";
import { PendingCall } from "./pending-call.ts";

/**
 * Drives the compaction of history from turn to turn: old records go, a step a turn, while calls are served; and knows when
 * all are gone. That of the log, which has nothing to do with it, is the Flusher's.
 */
export class CompactionSteps {
  readonly #step: () => boolean;
  readonly #waiting = new Set<PendingCall<void>>();
  /** A restart may have interrupted one. */
  #mayHaveWork = true;
  #isHeld = false;

  /** `step` does a bounded part; false when nothing is left. */
  constructor(step: () => boolean) {
    this.#step = step;
  }

  /** Something was applied, which may have been a compaction. */
  applied(): void {
    this.#mayHaveWork = true;
  }

  /** There may be work that can be done now. */
  get isDue(): boolean {
    return this.#mayHaveWork && !this.#isHeld;
  }

  /** Runs work that replaces the state: no step is done meanwhile, and the new state may have records to drop. */
  async holding(work: () => Promise<void>): Promise<void> {
    this.#isHeld = true;
    try {
      await work();
    } finally {
      this.#isHeld = false;
      this.#mayHaveWork = true;
    }
  }

  /** Does a step; true when there is more to do. */
  step(): boolean {
    this.#mayHaveWork = this.#step();
    if (!this.#mayHaveWork) for (const call of this.#take()) call.resolve();
    return this.#mayHaveWork;
  }

  /** Resolves when nothing is left to drop; rejects with the signal's reason. */
  done({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    if (!this.#mayHaveWork) return Promise.resolve();
    if (signal.aborted) return Promise.reject(signal.reason);
    const call: PendingCall<void> = new PendingCall({
      deadlineMs: Number.POSITIVE_INFINITY,
      signal,
      onAbort: () => this.#waiting.delete(call),
    });
    this.#waiting.add(call);
    return call.promise;
  }

  rejectAll(error: StoreError): void {
    for (const call of this.#take()) call.reject(error);
  }

  #take(): readonly PendingCall<void>[] {
    const calls = [...this.#waiting];
    this.#waiting.clear();
    return calls;
  }
}
