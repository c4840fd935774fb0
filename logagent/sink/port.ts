import type { LineSpans } from "../framing/types.ts";

/**
 * Where lines go. One contract test-suite runs for every driver. A driver accepts spans, gathers them into batches by
 * partition (spans of many files in one batch, with a ledger of (file, from, to)), delivers, retries in order for as long as
 * it takes, and reports bytes as acknowledged only when they are durable at the destination (Kafka: acks=all; file:
 * fdatasync).
 */
export interface Sink extends AsyncDisposable {
  /**
   * Takes every line of `spans`. Resolves when the driver no longer needs `spans.bytes` and has room for more (this is
   * the backpressure): not when the lines are acknowledged. Waits, without bound, while the destination is away or the
   * topic does not exist; rejects only with the signal's reason, having then taken nothing of `spans`.
   */
  deliver(delivery: Delivery, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Sends what is gathered now and resolves when everything accepted so far is settled; rejects with the signal's reason. */
  flush(options: { readonly signal: AbortSignal }): Promise<void>;
  /** What the driver knows of a topic; "unknown" before the first delivery to it. */
  topic(name: string): TopicStatus;
  /** Bytes of lines accepted and not yet acknowledged. */
  readonly inFlightBytes: number;
  /** Stops at once; what is not acknowledged stays unacknowledged. Idempotent. */
  close(): Promise<void>;
}

export interface Delivery {
  readonly topic: string;
  readonly file: ShippedFile;
  readonly spans: LineSpans;
  /** When the chunk was read, milliseconds since the Unix epoch: the records' timestamp. */
  readonly readAtMs: number;
  /** Headers `ip`, `path`, `pos` on each record. */
  readonly headers: boolean;
}

/** A file as a sink sees it. Ranges are reported for each delivery whole or in parts, in any order across partitions. */
export interface ShippedFile {
  /** Minted once, unique in the fleet, ASCII: the part of header `pos` before the colon. */
  readonly id: string;
  /** The identity of this agent: header `ip`. */
  readonly ip: string;
  /** The path it was found at: header `path`, and with `ip` the choice of the partition. */
  readonly path: string;
  /** The path of the entry that ships it: it stands in a dead letter. */
  readonly entry?: string;
  /** The bytes [from, to) are durable at the destination, `lines` records of them. */
  acked(from: number, to: number, lines: number): void;
  /** The destination refused these bytes for good; they count as settled. The reason goes to status and the log. */
  rejected(from: number, to: number, lines: number, reason: string): void;
}

export type TopicStatus =
  | { readonly kind: "unknown" }
  | { readonly kind: "ready"; readonly warnings: readonly TopicWarning[] }
  /** Deliveries to it wait; `reason` is a sentence for people, `sinceMs` (wall clock) the start of the trouble. */
  | { readonly kind: "waiting"; readonly reason: string; readonly sinceMs: number };

/** What makes an acknowledgement weaker than ops may think. */
export type TopicWarning = "one replica" | "min.insync.replicas 1";
