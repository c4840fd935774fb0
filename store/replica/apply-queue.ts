import type { Clock } from "../../base/clock.ts";
import type { Applied, Configure, StateMachine } from "../apply/types.ts";
import type { Entry } from "../raft/types.ts";

/** Committed entries on their way into the state, in stretches that leave the event loop to others; a large one takes several. */
export class ApplyQueue {
  readonly #state: Pick<StateMachine, "apply">;
  readonly #clock: Clock;
  readonly #applyMs: number;
  readonly #configure: Configure;
  readonly #onApplied: (applied: Applied) => void;
  #rounds: (readonly Entry[])[] = [];
  /** Entries of the first round that were begun. */
  #begun = 0;
  /** The one that is being applied. */
  #current: { readonly steps: Generator<undefined, Applied>; readonly bytes: number } | undefined;

  /** A stretch ends with the step that takes it over `applyMs`. `configure` tells the core of a change that takes effect. */
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
    return this.#rounds.length === 0 && this.#current === undefined;
  }

  /** Takes a round's entries; the core bounds how much is handed out and not applied. */
  add(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#rounds.push(entries);
  }

  /**
   * Applies a stretch; returns the bytes of data that the entries that it finished carried. An entry that an earlier stretch
   * began ends it: a flush has to find the state between two entries, and under long ones no other stretch need end there.
   */
  applySome(): number {
    const isBegun = this.#current !== undefined;
    const endMs = this.#clock.monotonicMs() + this.#applyMs;
    let bytes = 0;
    do {
      this.#current ??= this.#begin();
      if (this.#current === undefined) break;
      const step = this.#current.steps.next();
      if (step.done !== true) continue;
      bytes += this.#current.bytes;
      this.#current = undefined;
      this.#onApplied(step.value);
      if (isBegun) break;
    } while (this.#clock.monotonicMs() < endMs);
    return bytes;
  }

  /** Forgets what is not applied, and gives up the entry at hand: the state can't be used any more. */
  abandon(): void {
    this.#current?.steps.return(undefined as never);
    this.#current = undefined;
    this.#rounds = [];
  }

  #begin(): { readonly steps: Generator<undefined, Applied>; readonly bytes: number } | undefined {
    const [round] = this.#rounds;
    const entry = round?.[this.#begun];
    if (round === undefined || entry === undefined) return undefined;
    this.#begun += 1;
    if (this.#begun === round.length) {
      this.#rounds.shift();
      this.#begun = 0;
    }
    return { steps: this.#state.apply(entry, this.#configure), bytes: entry.data.byteLength };
  }
}
