import type { Turns } from "./turns.ts";

/**
 * Work in the background that comes as bounded steps (moving watchers forward): `kick` starts it, and it goes on, a slice
 * a turn of the event loop, until a step says that nothing is left.
 */
export class StepPump {
  readonly #turns: Turns;
  readonly #step: () => boolean;
  readonly #onError: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #kicked = false;
  #closed = false;

  /** `step` returns true while there is more to do; what it throws ends the pump and goes to `onError`. */
  constructor(options: {
    readonly turns: Turns;
    readonly step: () => boolean;
    readonly onError: (error: unknown) => void;
  }) {
    this.#turns = options.turns;
    this.#step = options.step;
    this.#onError = options.onError;
  }

  /** There may be work. The first step runs in a later turn, so that a caller's own work comes first. */
  kick(): void {
    if (this.#closed) return;
    this.#kicked = true;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is left to do; at once when nothing is. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Stops after the step at hand. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const never = new AbortController().signal;
    try {
      await this.#turns.next();
      while (this.#kicked && !this.#closed) {
        this.#kicked = false;
        await this.#turns.run(this.#steps(), { signal: never });
      }
    } catch (error) {
      this.#closed = true;
      this.#onError(error);
    } finally {
      this.#running = undefined;
    }
  }

  *#steps(): Generator<undefined, void> {
    while (!this.#closed && this.#step()) yield;
  }
}
