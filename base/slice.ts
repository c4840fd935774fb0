import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "./clock.ts";
import { SLICE_MS } from "./steps.ts";

/** For long work that is no generator: whoever does it asks between any two of its parts, and gives others their turn. */
export class Slice {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #endMs: number;

  /** It begins now. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + SLICE_MS;
  }

  /** Has the event loop been held for 10 ms? */
  get isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#endMs;
  }

  /** Resolves when others have had their turn, and the next slice begins. Rejects with the signal's reason. */
  async giveTurn(options?: { readonly signal: AbortSignal }): Promise<void> {
    await nextTurn();
    options?.signal.throwIfAborted();
    this.#endMs = this.#clock.monotonicMs() + SLICE_MS;
  }
}
