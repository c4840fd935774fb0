import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import type { Batch, Destination } from "./destination.ts";
import { FairBytes } from "./fair-bytes.ts";
import { MAX_IN_FLIGHT_BYTES_DEFAULT, type SinkDeps } from "./options.ts";
import { partitionFor } from "./partition-for.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { Delivery, Sink, TopicStatus } from "./port.ts";
import { TopicLane } from "./topic-lane.ts";
import { TroubleLog } from "./trouble-log.ts";

/**
 * The sink of every driver: admits deliveries within the limit of bytes in flight, and hands their lines to the queue of the
 * partition they belong to. A destination makes it a Kafka sink, a file sink and so on.
 */
export class BatchedSink implements Sink {
  readonly kind: Sink["kind"];
  readonly #destination: Destination;
  readonly #deps: SinkDeps;
  readonly #bytes: FairBytes;
  readonly #troubleLog: TroubleLog;
  readonly #lanes = new Map<string, TopicLane>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #inFlightBytes = 0;

  constructor(options: {
    readonly kind: Sink["kind"];
    readonly destination: Destination;
    readonly deps: SinkDeps;
    readonly maxInFlightBytes?: number | undefined;
  }) {
    this.kind = options.kind;
    this.#destination = options.destination;
    this.#deps = options.deps;
    this.#troubleLog = new TroubleLog(options.deps);
    this.#bytes = new FairBytes(options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES_DEFAULT);
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  async deliver(delivery: Delivery, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const { spans, file } = delivery;
    if (spans.count === 0) {
      if (spans.to > spans.from) file.acked(spans.from, spans.to, 0);
      return;
    }
    const lane = this.#lane(delivery.topic);
    const chargedBytes = spans.to - spans.from + spans.count * this.#destination.lineOverheadBytes(delivery);
    const queue = await this.#admit(lane, { delivery, chargedBytes, signal });
    this.#closing.signal.throwIfAborted();
    queue.append(delivery);
    this.#inFlightBytes += spans.to - spans.from;
  }

  async flush(options: { readonly signal: AbortSignal }): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    signal.throwIfAborted();
    const drained = [...this.#lanes.values()].flatMap((lane) =>
      [...lane.queues].map((queue) => queue.drain()),
    );
    await untilAborted(Promise.all(drained), { signal });
  }

  topic(name: string): TopicStatus {
    return this.#lanes.get(name)?.status ?? { kind: "unknown" };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const reason = new CodedError("ESINKCLOSED", "Cannot deliver: the sink is closed");
    this.#closing.abort(reason);
    this.#bytes.fail(reason);
    for (const lane of this.#lanes.values()) lane.fail(reason);
    await this.#destination.close();
  }

  #lane(name: string): TopicLane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new TopicLane({
        name,
        account: this.#bytes.newAccount(),
        destination: this.#destination,
        deps: this.#deps,
        signal: this.#closing.signal,
        troubleLog: this.#troubleLog,
        onSettled: (settled, batch) => this.#settled(settled, batch),
        onFree: () => this.#bytes.wake(),
      });
      this.#lanes.set(name, lane);
    }
    lane.refreshIfOld();
    return lane;
  }

  /** Waits until the topic is there and has room; then its queue must be given the lines at once. */
  async #admit(
    lane: TopicLane,
    request: { readonly delivery: Delivery; readonly chargedBytes: number; readonly signal: AbortSignal },
  ): Promise<PartitionQueue> {
    const { delivery, chargedBytes, signal } = request;
    const info = lane.info ?? (await lane.ready({ signal }));
    const queue = lane.queue(partitionFor(delivery.file, info.partitions));
    const isPaused = () => lane.info === undefined || queue.isStuck;
    if (!this.#bytes.tryTake(lane.account, chargedBytes, isPaused)) {
      await this.#bytes.take(lane.account, chargedBytes, { signal, isPaused });
    }
    return queue;
  }

  #settled(lane: TopicLane, batch: Batch): void {
    this.#inFlightBytes -= batch.ledger.bytes;
    invariant(this.#inFlightBytes >= 0, "no more bytes are settled than were accepted");
    this.#bytes.give(lane.account, batch.ledger.chargedBytes);
  }
}
