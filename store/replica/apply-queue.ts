import type { Clock } from "../../base/clock.ts";
import type { Applied, Configure, StateMachine } from "../apply/types.ts";
import type { Entry } from "../raft/types.ts";

/** Committed entries on their way into the state, in stretches that leave the event loop to others. */
export class ApplyQueue {
  readonly #state: Pick<StateMachine, "apply">;
  readonly #clock: Clock;
  readonly #applyMs: number;
  readonly #configure: Configure;
  readonly #onApplied: (applied: Applied) => void;
  #rounds: (readonly Entry[])[] = [];
  /** Entries of the first round that are applied. */
  #done = 0;

  /** A stretch ends with the entry that takes it over `applyMs`. `configure` tells the core of a change that takes effect. */
  constructor(options: {
    readonly state: Pick<StateMachine, "apply">;
    readonly clock: Clock;
    readonly applyMs: number;
    readonly configure: Configure;
    readonly onApplied: (applied: Applied) => void;
  }) {
    this.#state = options.state;
    this.#clock = options.clock;
    this.#applyMs = options.applyMs;
    this.#configure = options.configure;
    this.#onApplied = options.onApplied;
  }

  get isEmpty(): boolean {
    return this.#rounds.length === 0;
  }

  /** Takes a round's entries; the core bounds how much is handed out and not applied. */
  add(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#rounds.push(entries);
  }

  /** Applies a stretch; returns the bytes of data that its entries carried. */
  applySome(): number {
    const endMs = this.#clock.monotonicMs() + this.#applyMs;
    let bytes = 0;
    do {
      const entry = this.#next();
      if (entry === undefined) break;
      this.#onApplied(this.#state.apply(entry, this.#configure));
      bytes += entry.data.byteLength;
    } while (this.#clock.monotonicMs() < endMs);
    return bytes;
  }

  #next(): Entry | undefined {
    const [round] = this.#rounds;
    const entry = round?.[this.#done];
    this.#done += 1;
    if (round === undefined || this.#done === round.length) {
      this.#rounds.shift();
      this.#done = 0;
    }
    return entry;
  }
}
