import { CodedError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import { MAX_IN_FLIGHT_BYTES_DEFAULT } from "../../conf/agent-config.ts";
import type { Batch, Destination } from "./destination.ts";
import { FairBytes } from "./fair-bytes.ts";
import { keyRuns } from "./key-runs.ts";
import { keptBytesPerLine } from "./line-overhead.ts";
import type { QueueDeps } from "./options.ts";
import type { Delivery, ShippedFile, Sink, TopicStatus } from "./port.ts";
import { TopicQueues } from "./topic-queues.ts";
import { TroubleLog } from "./trouble-log.ts";

/** The lines of a delivery that go to one partition, and what each is charged beyond its bytes of the file. */
interface Share {
  readonly delivery: Delivery;
  readonly key: Buffer | undefined;
  readonly lineOverheadBytes: number;
}

/** Of the bytes in flight, what may be kept in spare buffers besides. */
const SPARE_SHARE = 1 / 4;

/**
 * The sink of every driver: admits deliveries within the limit of bytes in flight, and hands their lines to the queue of the
 * partition they belong to. A destination makes it a Kafka sink, a file sink and so on.
 */
export class BatchedSink implements Sink {
  readonly #destination: Destination;
  readonly #deps: QueueDeps;
  readonly #bytes: FairBytes;
  readonly #troubleLog: TroubleLog;
  readonly #topics = new Map<string, TopicQueues>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #inFlightBytes = 0;

  constructor(options: {
    readonly destination: Destination;
    readonly deps: QueueDeps;
    readonly maxInFlightBytes?: number | undefined;
  }) {
    this.#destination = options.destination;
    this.#deps = options.deps;
    this.#troubleLog = new TroubleLog(options.deps);
    this.#bytes = new FairBytes(options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES_DEFAULT);
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** What the limit is held against: memory charged for the lines, framing included. */
  get heldBytes(): number {
    return this.#bytes.heldBytes;
  }

  /** Of `heldBytes`; one delivery that is larger goes alone. */
  get limitBytes(): number {
    return this.#bytes.limitBytes;
  }

  /** Admits no more than so many bytes in flight from now on, framing included; spare memory is given back. */
  limitInFlight(bytes: number): void {
    this.#bytes.resize(bytes);
    this.#destination.limitSpares?.(Math.floor(bytes * SPARE_SHARE));
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
    const topic = this.#queuesOf(delivery.topic);
    const shares = this.#sharesOf(delivery);
    await this.#admit(topic, { file, shares, signal });
    this.#closing.signal.throwIfAborted();
    // Looked up here: the partitions may have changed meanwhile.
    for (const { delivery: share, key, lineOverheadBytes } of shares) {
      topic.queueFor(file, key).append(share, lineOverheadBytes);
    }
    this.#inFlightBytes += spans.to - spans.from;
  }

  async flush(options: { readonly signal: AbortSignal }): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    signal.throwIfAborted();
    const drained = [...this.#topics.values()].flatMap((topic) =>
      [...topic.queues].map((queue) => queue.drain()),
    );
    await untilAborted(Promise.all(drained), { signal });
  }

  topic(name: string): TopicStatus {
    return this.#topics.get(name)?.status ?? { kind: "unknown" };
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
    for (const topic of this.#topics.values()) topic.fail(reason);
    await this.#destination.close();
  }

  #queuesOf(name: string): TopicQueues {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new TopicQueues({
        name,
        account: this.#bytes.newAccount(),
        destination: this.#destination,
        deps: this.#deps,
        signal: this.#closing.signal,
        troubleLog: this.#troubleLog,
        onSettled: (settled, batch) => this.#settled(settled, batch),
        onFree: () => this.#bytes.wake(),
      });
      this.#topics.set(name, topic);
    }
    topic.refreshIfOld();
    return topic;
  }

  /** Waits until the topic takes lines and has room; then they must be appended at once. */
  async #admit(
    topic: TopicQueues,
    request: {
      readonly file: ShippedFile;
      readonly shares: readonly Share[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { file, shares, signal } = request;
    if (!topic.isOpen) await topic.opened({ signal });
    const isPaused = () => !topic.isOpen || shares.some(({ key }) => topic.queueFor(file, key).isStuck);
    const chargedBytes = shares.reduce((sum, share) => sum + chargedFor(share), 0);
    if (!this.#bytes.tryTake(topic.account, chargedBytes, isPaused)) {
      await this.#bytes.take(topic.account, chargedBytes, { signal, isPaused });
    }
  }

  #sharesOf(delivery: Delivery): readonly Share[] {
    return keyRuns(delivery.spans).map(({ spans, key }) => {
      const share = { ...delivery, spans };
      const lineOverheadBytes = this.#destination.lineOverheadBytes(share) + keptBytesPerLine(spans);
      return { delivery: share, key, lineOverheadBytes };
    });
  }

  #settled(topic: TopicQueues, batch: Batch): void {
    this.#inFlightBytes -= batch.ledger.bytes;
    invariant(this.#inFlightBytes >= 0, "no more bytes are settled than were accepted");
    this.#bytes.give(topic.account, batch.ledger.chargedBytes);
  }
}

function chargedFor({ delivery, lineOverheadBytes }: Share): number {
  const { from, to, count } = delivery.spans;
  return to - from + count * lineOverheadBytes;
}
