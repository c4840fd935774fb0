import { invariant } from "../../base/invariant.ts";

/** How much may be on its way to one follower without an answer. */
export interface InflightLimits {
  /** Append messages; 1 or more. */
  readonly messages: number;
  /**
   * Bytes of entries in them; 1 or more, Number.MAX_SAFE_INTEGER for no limit. Soft: one message may go from below it to
   * any size above.
   */
  readonly bytes: number;
}

/** The append messages on their way to one follower, oldest first (etcd tracker.Inflights). */
export class Inflights {
  readonly #limits: InflightLimits;
  /** A ring of `limits.messages` places at most, which grows as places are first used. */
  readonly #ring: { readonly index: number; readonly bytes: number }[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(limits: InflightLimits) {
    invariant(limits.messages > 0 && limits.bytes > 0, "something may be in flight");
    this.#limits = limits;
  }

  /** Messages on their way. */
  get count(): number {
    return this.#count;
  }

  /** Nothing more may be sent until {@link freeTo} makes room. */
  get isFull(): boolean {
    return this.#count === this.#limits.messages || this.#bytes >= this.#limits.bytes;
  }

  /** A message left whose last entry is `index` and whose entries have `bytes` bytes. Indexes come in order; not when full. */
  add(index: number, bytes: number): void {
    invariant(!this.isFull, "nothing is added to full inflights");
    this.#ring[(this.#start + this.#count) % this.#limits.messages] = { index, bytes };
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** The follower has everything up to `index`: messages that end there or before are no longer on their way. */
  freeTo(index: number): void {
    while (this.#count > 0) {
      const oldest = this.#ring[this.#start];
      invariant(oldest !== undefined, "a place in use holds a message");
      if (oldest.index > index) return;
      this.#start = (this.#start + 1) % this.#limits.messages;
      this.#count -= 1;
      this.#bytes -= oldest.bytes;
    }
    // So that a quiet follower's ring stays as small as its busiest moment was.
    this.#start = 0;
  }

  /** Nothing is on its way. */
  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}
