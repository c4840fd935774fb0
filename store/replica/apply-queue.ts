import type { Clock } from "../../base/clock.ts";
import { invariant } from "../../base/invariant.ts";
import type { Applied, StateMachine } from "../apply/types.ts";
import type { Entry } from "../raft/types.ts";

/** The committed entries of one round on their way into the state, in stretches that leave the event loop to others. */
export class ApplyQueue {
  readonly #state: Pick<StateMachine, "apply">;
  readonly #clock: Clock;
  readonly #applyMs: number;
  readonly #onApplied: (applied: Applied) => void;
  #entries: readonly Entry[] = [];
  #done = 0;

  /** A stretch ends with the entry that takes it over `applyMs`. */
  constructor(options: {
    readonly state: Pick<StateMachine, "apply">;
    readonly clock: Clock;
    readonly applyMs: number;
    readonly onApplied: (applied: Applied) => void;
  }) {
    this.#state = options.state;
    this.#clock = options.clock;
    this.#applyMs = options.applyMs;
    this.#onApplied = options.onApplied;
  }

  get isEmpty(): boolean {
    return this.#done === this.#entries.length;
  }

  /** Takes a round's entries; the core hands out the next ones when these have been applied. */
  add(entries: readonly Entry[]): void {
    invariant(this.isEmpty, `${this.#entries.length - this.#done} entries of the round before are applied`);
    this.#entries = entries;
    this.#done = 0;
  }

  /** Applies a stretch; returns the bytes of data that its entries carried. */
  applySome(): number {
    const endMs = this.#clock.monotonicMs() + this.#applyMs;
    let bytes = 0;
    do {
      const entry = this.#entries[this.#done];
      if (entry === undefined) break;
      this.#onApplied(this.#state.apply(entry));
      this.#done += 1;
      bytes += entry.data.byteLength;
    } while (this.#clock.monotonicMs() < endMs);
    return bytes;
  }
}
