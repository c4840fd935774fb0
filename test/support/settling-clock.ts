import type { Clock } from "../../base/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/**
 * Time that passes only when it is told to, for code that sleeps again and again: `advance` lets everything come to rest at
 * each moment at which somebody wakes.
 */
export class SettlingClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2030, 0, 1) + this.#nowMs;
  }

  sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + ms,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Time passes in which nobody runs: who sleeps wakes late. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets what is ready run, then wakes each sleeper that is due within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#sleepers].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > endMs) break;
      this.#sleepers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Turns of the event loop after which promises that wait for nothing else have run. */
const TURNS = 5;

async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
