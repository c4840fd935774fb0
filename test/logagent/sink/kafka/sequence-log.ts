import type { ProducerStamp } from "../../../../logagent/sink/destination.ts";

/** Error codes of the Kafka protocol. */
export const NONE = 0;
export const OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
export const INVALID_PRODUCER_EPOCH = 47;
export const UNKNOWN_PRODUCER_ID = 59;

/** Batches of a producer that a broker remembers, KIP-98. */
const REMEMBERED = 5;
const SEQUENCES = 2 ** 31;

interface Entry<Line> {
  readonly stamp: ProducerStamp;
  readonly lines: readonly Line[];
}

interface ProducerState {
  epoch: number;
  nextSequence: number;
  /** Base sequence and count of the latest batches of the epoch. */
  recent: { readonly base: number; readonly count: number }[];
}

/**
 * The log of one partition, as a broker keeps it: what it makes of a batch with a producer's stamp follows Kafka's
 * ProducerStateManager. A producer of which it knows nothing may begin with any sequence number (KIP-360), or, as brokers before
 * 2.5 have it (`isOld`), with 0 only.
 */
export class SequenceLog<Line> {
  readonly #isOld: boolean;
  readonly #entries: Entry<Line>[] = [];
  #producers = new Map<bigint, ProducerState>();

  constructor(options: { readonly isOld?: boolean; readonly entries?: readonly Entry<Line>[] } = {}) {
    this.#isOld = options.isOld ?? false;
    for (const entry of options.entries ?? []) {
      this.#entries.push(entry);
      this.#remember(entry);
    }
  }

  get batches(): number {
    return this.#entries.length;
  }

  get lines(): readonly Line[] {
    return this.#entries.flatMap(({ lines }) => lines);
  }

  /** Stamps of the batches, in order. */
  get stamps(): readonly ProducerStamp[] {
    return this.#entries.map(({ stamp }) => stamp);
  }

  /** What the log is where only the first `batches` were replicated: state follows from what is there. */
  prefix(batches: number): SequenceLog<Line> {
    return new SequenceLog({ isOld: this.#isOld, entries: this.#entries.slice(0, batches) });
  }

  /** The code of the answer; 0 when it holds the batch, also from before. */
  append(stamp: ProducerStamp, lines: readonly Line[]): number {
    const code = stamp.producerId === -1n ? NONE : this.#check(stamp, lines.length);
    if (code === "duplicate") return NONE;
    if (code !== NONE) return code;
    const entry = { stamp, lines };
    this.#entries.push(entry);
    this.#remember(entry);
    return NONE;
  }

  /** As after producer.id.expiration.ms without a batch. */
  forgetProducers(): void {
    this.#producers = new Map();
  }

  /** Somebody else has sent under every known id, in a later epoch. */
  fenceProducers(): void {
    for (const state of this.#producers.values()) {
      state.epoch += 2;
      state.recent = [];
    }
  }

  #check(stamp: ProducerStamp, count: number): number | "duplicate" {
    const { producerId, epoch, baseSequence } = stamp;
    const state = this.#producers.get(producerId);
    if (state === undefined) return this.#isOld && baseSequence !== 0 ? UNKNOWN_PRODUCER_ID : NONE;
    if (epoch < state.epoch) return INVALID_PRODUCER_EPOCH;
    if (epoch > state.epoch) return baseSequence === 0 ? NONE : OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (state.recent.some((one) => one.base === baseSequence && one.count === count)) return "duplicate";
    return baseSequence === state.nextSequence ? NONE : OUT_OF_ORDER_SEQUENCE_NUMBER;
  }

  #remember({ stamp, lines }: Entry<Line>): void {
    const { producerId, epoch, baseSequence } = stamp;
    if (producerId === -1n) return;
    const known = this.#producers.get(producerId);
    const state = known?.epoch === epoch ? known : { epoch, nextSequence: 0, recent: [] };
    state.nextSequence = (baseSequence + lines.length) % SEQUENCES;
    state.recent = [...state.recent, { base: baseSequence, count: lines.length }].slice(-REMEMBERED);
    this.#producers.set(producerId, state);
  }
}
