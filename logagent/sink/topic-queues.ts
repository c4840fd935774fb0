import { backoffMs } from "../../base/backoff.ts";
import { sleepUnlessAborted } from "../../base/clock.ts";
import { type Batch, DeliveryError, type Destination, type TopicInfo } from "./destination.ts";
import type { ByteAccount } from "./fair-bytes.ts";
import { Gate } from "./gate.ts";
import type { QueueDeps } from "./options.ts";
import { partitionFor } from "./partition-for.ts";
import { PartitionQueue, type QueueHost } from "./partition-queue.ts";
import type { ShippedFile, TopicStatus } from "./port.ts";
import type { TroubleLog } from "./trouble-log.ts";

/** A topic is asked about again after this time at most: its partitions may have grown. */
export const DESCRIBE_AGAIN_MS = 5 * 60_000;
const RETRY = { baseMs: 250, maxMs: 5_000 };

interface Trouble {
  readonly error: DeliveryError;
  readonly sinceMs: number;
}

/** One topic: whether it can be written to, and the queues of its partitions. Trouble of one topic stays within it. */
export class TopicQueues implements QueueHost {
  readonly name: string;
  readonly account: ByteAccount;
  readonly #destination: Destination;
  readonly #deps: QueueDeps;
  readonly #signal: AbortSignal;
  readonly #troubleLog: TroubleLog;
  readonly #onSettled: (topic: TopicQueues, batch: Batch) => void;
  /** Told when something that was stuck may go on. */
  readonly #onFree: () => void;
  readonly #queues = new Map<number, PartitionQueue>();
  /** Open while the topic can be written to. */
  readonly #ready = new Gate();
  /** Open while it takes deliveries besides. */
  readonly #admission = new Gate();
  readonly #troubles = new Map<number | "topic", Trouble>();
  readonly #warned = new Set<string>();
  #info: TopicInfo | undefined;
  /** Deliveries go to partitions by this count. */
  #partitions = 1;
  /** The count has changed: nothing is taken until all queues are drained. */
  #isMoving = false;
  #isDescribing = false;
  #describedAtMs = 0;

  constructor(options: {
    readonly name: string;
    readonly account: ByteAccount;
    readonly destination: Destination;
    readonly deps: QueueDeps;
    readonly signal: AbortSignal;
    readonly troubleLog: TroubleLog;
    readonly onSettled: (topic: TopicQueues, batch: Batch) => void;
    readonly onFree: () => void;
  }) {
    this.name = options.name;
    this.account = options.account;
    this.#destination = options.destination;
    this.#deps = options.deps;
    this.#signal = options.signal;
    this.#troubleLog = options.troubleLog;
    this.#onSettled = options.onSettled;
    this.#onFree = options.onFree;
    this.refresh();
  }

  get status(): TopicStatus {
    const troubles = [...this.#troubles.values()].sort((a, b) => a.sinceMs - b.sinceMs);
    const worst = this.#troubles.get("topic") ?? troubles[0];
    if (worst !== undefined) return { kind: "waiting", reason: worst.error.message, sinceMs: worst.sinceMs };
    if (this.#info === undefined) return { kind: "unknown" };
    return { kind: "ready", warnings: this.#info.warnings };
  }

  /** Does it take deliveries? */
  get isOpen(): boolean {
    return this.#admission.isOpen;
  }

  get queues(): Iterable<PartitionQueue> {
    return this.#queues.values();
  }

  /** Resolves while it takes deliveries. */
  async opened(options: { readonly signal: AbortSignal }): Promise<void> {
    while (!this.#admission.isOpen) await this.#admission.wait(options);
  }

  async ready(options: { readonly signal: AbortSignal }): Promise<TopicInfo> {
    for (;;) {
      if (this.#ready.isOpen && this.#info !== undefined) return this.#info;
      await this.#ready.wait(options);
    }
  }

  /** Asks about a topic whose answer has aged, while deliveries go on. */
  refreshIfOld(): void {
    const ageMs = this.#deps.clock.monotonicMs() - this.#describedAtMs;
    if (this.#ready.isOpen && !this.#isDescribing && ageMs > DESCRIBE_AGAIN_MS) void this.#describe();
  }

  refresh(): void {
    this.#ready.shut();
    this.#admission.shut();
    if (!this.#isDescribing) void this.#describe();
  }

  /** The queue for lines of a file, once `opened()`. */
  queueFor(file: ShippedFile, key: Uint8Array | undefined): PartitionQueue {
    return this.#queue(partitionFor(file, key, this.#partitions));
  }

  newBatch(): Batch {
    return this.#destination.newBatch(this.#info as TopicInfo);
  }

  trouble(partition: number, error: DeliveryError | undefined): void {
    this.#setTrouble(partition, error);
    if (error === undefined) this.#onFree();
  }

  refused(refusal: { readonly error: DeliveryError; readonly lineBytes: number }): void {
    this.#troubleLog.refused(this.name, refusal);
  }

  settled(batch: Batch): void {
    this.#onSettled(this, batch);
  }

  /** Ends every wait for the topic; the sink is closing. */
  fail(reason: unknown): void {
    this.#ready.fail(reason);
    this.#admission.fail(reason);
    for (const queue of this.#queues.values()) queue.discard();
  }

  #queue(index: number): PartitionQueue {
    let queue = this.#queues.get(index);
    if (queue === undefined) {
      queue = new PartitionQueue({
        host: this,
        index,
        destination: this.#destination,
        deps: this.#deps,
        signal: this.#signal,
      });
      this.#queues.set(index, queue);
    }
    return queue;
  }

  /** Until it succeeds. */
  async #describe(): Promise<void> {
    this.#isDescribing = true;
    for (let attempt = 0; !this.#signal.aborted; attempt++) {
      try {
        this.#info = await this.#destination.describe(this.name, { signal: this.#signal });
        break;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (!(error instanceof DeliveryError)) throw error;
        this.#deps.observer?.onError({ topic: this.name, code: error.code });
        // While lines flow it is an answer that is missing, and no delivery.
        if (!this.#ready.isOpen) this.#setTrouble("topic", error);
        const waitMs = backoffMs(attempt, RETRY, this.#deps.random);
        await sleepUnlessAborted(this.#deps.clock, waitMs, { signal: this.#signal });
      }
    }
    if (this.#signal.aborted) return;
    this.#isDescribing = false;
    this.#describedAtMs = this.#deps.clock.monotonicMs();
    this.#setTrouble("topic", undefined);
    this.#warn();
    this.#ready.open();
    void this.#openAdmission();
  }

  /** Lines of a path that go to another partition from now on must not overtake those that went to the old one. */
  async #openAdmission(): Promise<void> {
    if (this.#isMoving) return;
    this.#isMoving = true;
    while (this.#partitions !== this.#info?.partitions) {
      this.#admission.shut();
      await Promise.all([...this.queues].map((queue) => queue.drain()));
      this.#partitions = this.#info?.partitions ?? this.#partitions;
    }
    this.#isMoving = false;
    if (!this.#ready.isOpen) return;
    this.#admission.open();
    this.#onFree();
  }

  #setTrouble(part: number | "topic", error: DeliveryError | undefined): void {
    if (error === undefined) {
      if (this.#troubles.delete(part) && this.#troubles.size === 0) this.#troubleLog.over(this.name);
      return;
    }
    const sinceMs = this.#troubles.get(part)?.sinceMs ?? this.#deps.clock.wallMs();
    this.#troubles.set(part, { error, sinceMs });
    this.#troubleLog.failed(this.name, error);
  }

  #warn(): void {
    for (const warning of this.#info?.warnings ?? []) {
      if (this.#warned.has(warning)) continue;
      this.#warned.add(warning);
      this.#deps.logger.warn(
        { topic: this.name, warning },
        "An acknowledged line of this topic can be lost with one broker",
      );
    }
  }
}
