import { invariant } from "../../base/invariant.ts";
import { bytesOf } from "./entry-bytes.ts";
import type { Entry } from "./types.ts";

/** The entries that were handed out for applying: up to where, how many bytes, and what of them has been reported as applied. */
export class ApplyWindow {
  readonly #bytesMax: number;
  #applied: number;
  #applying: number;
  /** Of the entries between applied and applying. */
  #bytes = 0;
  /** Nothing more is handed out before something is reported as applied. */
  #isPaused = false;

  /** `bytesMax` may be handed out and not be reported; one entry above it passes alone. */
  constructor(start: { readonly applied: number; readonly bytesMax: number }) {
    this.#applied = start.applied;
    this.#applying = start.applied;
    this.#bytesMax = start.bytesMax;
  }

  get applied(): number {
    return this.#applied;
  }

  get applying(): number {
    return this.#applying;
  }

  /** Bytes of entries that fit in. */
  get roomBytes(): number {
    return this.#bytesMax - this.#bytes;
  }

  /** Entries up to `last` may be applied: some of them can be handed out now. */
  hasRoomFor(last: number): boolean {
    return !this.#isPaused && this.#applying < last;
  }

  handedOut(entries: readonly Entry[], last: number): void {
    this.#applying += entries.length;
    this.#bytes += bytesOf(entries);
    this.#isPaused = this.#bytes >= this.#bytesMax || this.#applying < last;
  }

  /** `bytes` of entries were applied, up to `index`. */
  appliedTo(index: number, bytes: number): void {
    invariant(index <= this.#applying, `applied ${index} was handed out, up to ${this.#applying}`);
    this.#bytes -= bytes;
    this.#applied = index;
    this.#isPaused = this.#bytes >= this.#bytesMax;
  }

  /** A snapshot up to `index` has taken the place of what was handed out. */
  skipTo(index: number): void {
    if (index <= this.#applied) return;
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#bytes = 0;
    this.#isPaused = false;
  }
}
