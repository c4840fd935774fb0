import { CodedError } from "../../base/errors.ts";
import type { BatchLedger } from "./batch-ledger.ts";
import type { Delivery, TopicWarning } from "./port.ts";

/**
 * What differs between the drivers: how lines are encoded into a batch, and how a batch is made durable. Everything they
 * share (order, retries, limits, acknowledgements) is in BatchedSink.
 */
export interface Destination {
  /**
   * Finds out whether a topic can be written to, and opens what it needs. Rejects with DeliveryError while it cannot;
   * asked again after a back-off.
   */
  describe(topic: string, options: { readonly signal: AbortSignal }): Promise<TopicInfo>;
  newBatch(topic: TopicInfo): Batch;
  /** Keeps no more than `bytes` of memory for later batches from now on. */
  limitSpares?(bytes: number): void;
  /** Memory that a line of this delivery takes beyond value, key and ledger, for framing and headers; an upper bound. */
  lineOverheadBytes(delivery: Delivery): number;
  /**
   * Who sends: present where the destination drops repeats by their numbers (KIP-98). Then several batches of a partition
   * are on their way at one time, handed over in order, each with a stamp. `isFresh`: an identity that nobody else has.
   */
  readonly identify?: (options: { readonly isFresh: boolean }) => Promise<ProducerIdentity>;
  /**
   * Resolves once the batch is durable. Without `identify`, called for one batch at a time of a partition, and never again for
   * one that became durable. Rejects with DeliveryError when that is unknown or did not happen.
   */
  send(target: SendTarget, batch: Batch, stamp?: ProducerStamp): Promise<void>;
  close(): Promise<void>;
}

/** Who numbers batches. Of one id, what has a lower epoch than came before is refused (KIP-98, KIP-360). */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly epoch: number;
}

/** Who sends a batch, and the number of its first record; 31 bits, then 0 again. */
export interface ProducerStamp extends ProducerIdentity {
  readonly baseSequence: number;
}

export interface SendTarget {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicInfo {
  readonly name: string;
  readonly partitions: number;
  /** A batch is closed before it grows beyond; a longer line gets one of its own. */
  readonly batchBytesMax: number;
  readonly warnings: readonly TopicWarning[];
}

/** Encoded lines of one partition, of any number of files. Whoever holds it owns its memory until `release()`. */
export interface Batch {
  readonly ledger: BatchLedger;
  /**
   * Encodes lines of the delivery from line `first` on, as many as fit (at least one when the batch is empty), enters them
   * in the ledger with what each is charged beyond its bytes in the file, and returns the index behind the last one. `first`
   * itself means that the batch is full.
   */
  append(delivery: Delivery, lines: { readonly first: number; readonly lineOverheadBytes: number }): number;
  /** Called once, after the last append: compression happens here. */
  prepare(): Promise<void>;
  /** Two batches that hold the same lines in order, prepared; this one is released. Needs two lines or more. */
  split(): Promise<readonly [Batch, Batch]>;
  /** A copy of the only line of a prepared batch, as it stands in its file. */
  onlyLine(): Promise<Buffer>;
  /** Gives the memory back. Idempotent. */
  release(): void;
}

/**
 * - `soon`: goes away by itself (a leader moves, a connection broke).
 * - `slow`: goes away when a person does something (no such topic, no permission, disk full).
 * - `too-large`: the batch is cut in two; a single line is refused for good.
 * - `next-epoch`: the destination cannot continue the numbers; they begin again in the next epoch.
 * - `new-producer`: this identity counts for nothing any more.
 */
export type DeliveryRemedy = "soon" | "slow" | "too-large" | "next-epoch" | "new-producer";

/** A failed attempt to deliver or to describe; the message is a sentence for people. */
export class DeliveryError extends CodedError {
  readonly remedy: DeliveryRemedy;
  /** What is known of the topic may be out of date: it is described again before the next attempt. */
  readonly isTopicStale: boolean;

  constructor(
    code: string,
    message: string,
    options: { readonly remedy: DeliveryRemedy; readonly isTopicStale?: boolean; readonly cause?: unknown },
  ) {
    super(code, message, options.cause === undefined ? {} : { cause: options.cause });
    this.remedy = options.remedy;
    this.isTopicStale = options.isTopicStale ?? false;
  }
}
