import type { Clock } from "../../base/clock.ts";
import type { LoopDelay } from "./loop-delay.ts";

/** The election clock: a tick each period, and how late the event loop was for it. */
export class Ticker {
  readonly #loopDelay: LoopDelay;
  readonly #stopping = new AbortController();
  readonly #ticking: Promise<void>;

  /** `onTick` is told the monotonic time; what it throws ends the clock and goes to `onError`. */
  constructor(options: {
    readonly clock: Clock;
    readonly tickMs: number;
    readonly loopDelay: LoopDelay;
    readonly onTick: (nowMs: number) => void;
    readonly onError: (error: unknown) => void;
  }) {
    this.#loopDelay = options.loopDelay;
    this.#ticking = this.#tick(options).catch(options.onError);
  }

  /** No tick comes after it resolves. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ticking;
  }

  async #tick({
    clock,
    tickMs,
    onTick,
  }: {
    readonly clock: Clock;
    readonly tickMs: number;
    readonly onTick: (nowMs: number) => void;
  }): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs();
      onTick(nowMs);
      try {
        await clock.sleep(tickMs, { signal });
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      this.#loopDelay.observe(clock.monotonicMs() - nowMs - tickMs);
    }
  }
}
