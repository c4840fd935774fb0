import { type BackoffLimits, backoffMs } from "../../base/backoff.ts";
import { invariant } from "../../base/invariant.ts";
import type { Random } from "../../base/random.ts";
import type { DeliveryError, ProducerIdentity, ProducerStamp } from "./destination.ts";

/**
 * Batches of a numbered partition on their way at one time. Kafka remembers the last five of a producer (KIP-98): one that is
 * sent again is known there as long as no more than five were sent and not settled.
 */
export const SENT_MAX = 5;

const SOON: BackoffLimits = { baseMs: 100, maxMs: 5_000 };
const SLOW: BackoffLimits = { baseMs: 1_000, maxMs: 30_000 };
const EPOCH_MAX = 0x7fff;
/** Sequence numbers begin again at 0 behind the largest 32-bit integer. */
const SEQUENCES = 2 ** 31;

/** What to do next. */
export type Step<B> =
  /** Hand this batch over; {@link SendWindow.answered} is told how it went. */
  | {
      readonly kind: "send";
      readonly batch: B;
      readonly attempt: number;
      readonly partition: number;
      readonly stamp: ProducerStamp | undefined;
    }
  /** Find out who sends: the identity of this process, or `isFresh`, one that nobody has sent with yet. */
  | { readonly kind: "identify"; readonly isFresh: boolean }
  /** The destination takes no batch of this size: `replaceFirst` by parts, or `dropFirst`. Nothing is on its way. */
  | { readonly kind: "cut"; readonly batch: B; readonly error: DeliveryError }
  /** Until something is answered or added, or until this moment. */
  | { readonly kind: "wait"; readonly untilMs: number | undefined };

/** The moment, and chance: nothing here has its own. */
export interface Now {
  readonly nowMs: number;
  readonly random: Random;
}

interface Slot<B> {
  readonly batch: B;
  readonly lines: number;
  /** Base sequence, once it was sent; it keeps it until the producer or its epoch changes. */
  sequence: number | undefined;
  /** Of the attempt that is on its way. */
  attempt: number | undefined;
  outcome: "durable" | DeliveryError | undefined;
}

/**
 * Which batch of a partition is sent when, and as what: the rules by which order holds and nothing is appended twice,
 * whatever fails. Pure.
 *
 * - Batches are settled in their order only.
 * - After a failure nothing new is sent until everything on its way is answered; then all that is not settled is sent again from
 *   the first on, with the same sequence numbers. The broker tells which it has.
 * - The first batch of a round goes alone until it is answered. A broker that knows nothing of a producer takes any sequence
 *   number (KIP-360): if two were on their way, it could refuse the first and take the second.
 * - A sequence that the broker cannot continue, and a gap where a line was given up, end the epoch: the next one begins at 0,
 *   and what is on its way under the old one is refused.
 */
export class SendWindow<B> {
  readonly #sentMax: number;
  readonly #slots: Slot<B>[] = [];
  /** Slots from the first on that were sent in this round. */
  #sent = 0;
  #onTheirWay = 0;
  /** The first batch of this round was taken: others may be sent beside it. */
  #isProven = false;
  #isBroken = false;
  #tooLarge: DeliveryError | undefined;
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #nextAttempt = 0;
  #partition: number | undefined;
  readonly #isNumbered: boolean;
  #identity: ProducerIdentity | undefined;
  #needsFresh = false;
  #nextSequence = 0;

  /** Without numbers a batch goes alone, and one whose fate is unknown may be appended twice. */
  constructor(options: { readonly isNumbered: boolean }) {
    this.#isNumbered = options.isNumbered;
    this.#sentMax = options.isNumbered ? SENT_MAX : 1;
  }

  /** Batches that are not settled. */
  get size(): number {
    return this.#slots.length;
  }

  /** Nothing is sent before this moment: a back-off. */
  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  /** In order; whoever empties the window owns them. */
  *batches(): Iterable<B> {
    for (const { batch } of this.#slots) yield batch;
  }

  /** Puts a batch behind the last one. */
  add(batch: B, lines: number): void {
    this.#slots.push({ batch, lines, sequence: undefined, attempt: undefined, outcome: undefined });
  }

  /** `partition`: where the batches go by what is known now. It holds for a whole round. */
  next(now: { readonly nowMs: number; readonly partition: number }): Step<B> {
    const slot = this.#slots[this.#sent];
    const limit = this.#isProven ? this.#sentMax : 1;
    if (slot === undefined || this.#isBroken || this.#sent >= limit) return FOREVER;
    if (now.nowMs < this.#notBeforeMs) return { kind: "wait", untilMs: this.#notBeforeMs };
    if (this.#tooLarge !== undefined) return { kind: "cut", batch: slot.batch, error: this.#tooLarge };
    const partition = this.#aim(now.partition);
    if (this.#isNumbered && this.#identity === undefined) {
      return { kind: "identify", isFresh: this.#needsFresh };
    }
    slot.attempt = this.#nextAttempt++;
    slot.outcome = undefined;
    this.#sent += 1;
    this.#onTheirWay += 1;
    return { kind: "send", batch: slot.batch, attempt: slot.attempt, partition, stamp: this.#stamp(slot) };
  }

  /** The answer to "identify". */
  identified(identity: ProducerIdentity): void {
    invariant(this.#identity === undefined, "an identity is taken when there is none");
    this.#identity = identity;
    this.#needsFresh = false;
  }

  /** "identify" or "cut" could not be done: the same again after a back-off. */
  held(error: DeliveryError, now: Now): void {
    this.#backOff(error, now);
  }

  /**
   * An attempt has ended, with `error` or durable. Returns the batches that are settled by it, in order; and, when a round
   * has failed and is over, why.
   */
  answered(
    attempt: number,
    error: DeliveryError | undefined,
    now: Now,
  ): { readonly settled: readonly B[]; readonly failure: DeliveryError | undefined } {
    const slot = this.#slots.find((one) => one.attempt === attempt);
    invariant(slot !== undefined, `attempt ${attempt} is on its way`);
    slot.attempt = undefined;
    slot.outcome = error ?? "durable";
    this.#onTheirWay -= 1;
    if (error !== undefined) this.#isBroken = true;
    const settled: B[] = [];
    while (this.#slots[0]?.outcome === "durable") settled.push((this.#slots.shift() as Slot<B>).batch);
    this.#sent -= settled.length;
    if (settled.length > 0) {
      this.#failures = 0;
      this.#isProven = this.#slots.length > 0;
    }
    const failure = this.#isBroken && this.#onTheirWay === 0 ? this.#endRound(now) : undefined;
    return { settled, failure };
  }

  /** After "cut": the parts take the place of the first batch, and its sequence numbers. */
  replaceFirst(parts: readonly { readonly batch: B; readonly lines: number }[]): void {
    const first = this.#slots[0];
    invariant(this.#tooLarge !== undefined && first !== undefined, "the first batch is to be cut");
    let { sequence } = first;
    const slots = parts.map(({ batch, lines }): Slot<B> => {
      const slot = { batch, lines, sequence, attempt: undefined, outcome: undefined };
      if (sequence !== undefined) sequence = (sequence + lines) % SEQUENCES;
      return slot;
    });
    this.#slots.splice(0, 1, ...slots);
    this.#tooLarge = undefined;
  }

  /** After "cut": the first batch is given up. Its numbers are missing from then on, so a new epoch begins. */
  dropFirst(): void {
    invariant(this.#tooLarge !== undefined, "the first batch is to be cut");
    this.#slots.shift();
    this.#tooLarge = undefined;
    this.#failures = 0;
    this.#nextEpoch();
  }

  /** Forgets all batches. */
  clear(): void {
    this.#slots.length = 0;
  }

  #aim(partition: number): number {
    if (this.#sent > 0 && this.#partition !== undefined) return this.#partition;
    // Another queue may send there under the same identity: two that count by themselves must not.
    if (this.#partition !== undefined && this.#partition !== partition) this.#newProducer();
    this.#partition = partition;
    return partition;
  }

  #stamp(slot: Slot<B>): ProducerStamp | undefined {
    if (this.#identity === undefined) return undefined;
    if (slot.sequence === undefined) {
      slot.sequence = this.#nextSequence;
      this.#nextSequence = (this.#nextSequence + slot.lines) % SEQUENCES;
    }
    return { ...this.#identity, baseSequence: slot.sequence };
  }

  /** Everything is answered, and the first batch has failed. */
  #endRound(now: Now): DeliveryError {
    const error = this.#slots[0]?.outcome;
    invariant(error !== undefined && error !== "durable", "the first batch of a failed round has failed");
    this.#isBroken = false;
    this.#isProven = false;
    this.#sent = 0;
    for (const slot of this.#slots) slot.outcome = undefined;
    if (error.remedy === "too-large") this.#tooLarge = error;
    else this.#backOff(error, now);
    if (error.remedy === "next-epoch") this.#nextEpoch();
    if (error.remedy === "new-producer") this.#newProducer();
    return error;
  }

  #backOff(error: DeliveryError, now: Now): void {
    const limits = error.remedy === "slow" ? SLOW : SOON;
    this.#notBeforeMs = now.nowMs + backoffMs(this.#failures++, limits, now.random);
  }

  #nextEpoch(): void {
    if (this.#identity === undefined) return;
    const epoch = this.#identity.epoch + 1;
    if (epoch > EPOCH_MAX) this.#newProducer();
    else this.#identity = { ...this.#identity, epoch };
    this.#restartSequence();
  }

  #newProducer(): void {
    this.#identity = undefined;
    this.#needsFresh = true;
    this.#restartSequence();
  }

  #restartSequence(): void {
    invariant(this.#onTheirWay === 0, "numbers change while nothing is on its way");
    this.#nextSequence = 0;
    for (const slot of this.#slots) slot.sequence = undefined;
  }
}

const FOREVER = { kind: "wait", untilMs: undefined } as const;
