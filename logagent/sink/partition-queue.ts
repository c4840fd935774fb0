import { type BackoffLimits, backoffMs } from "../../base/backoff.ts";
import { type Batch, DeliveryError, type Destination, type TopicInfo } from "./destination.ts";
import { Gate } from "./gate.ts";
import type { SinkDeps } from "./options.ts";
import type { Delivery } from "./port.ts";

/** How long a batch that is not full waits for more lines. While another is on its way it waits for that as well. */
const LINGER_MS = 10;
const SOON: BackoffLimits = { baseMs: 100, maxMs: 5_000 };
const SLOW: BackoffLimits = { baseMs: 1_000, maxMs: 30_000 };

/** What a queue asks of its topic. */
export interface QueueHost {
  readonly name: string;
  /** Resolves while the topic can be written to, with what is known of it. */
  ready(options: { readonly signal: AbortSignal }): Promise<TopicInfo>;
  newBatch(): Batch;
  /** The topic is described again; until then `ready()` waits. */
  refresh(): void;
  /** Trouble of this partition, or undefined when it is over. */
  trouble(partition: number, error: DeliveryError | undefined): void;
  /** The lines of a batch are settled; their bytes are free again. */
  settled(batch: Batch): void;
}

/**
 * The batches of one partition, in order: one gathers lines, the others wait their turn, the first is on its way. Only one is
 * ever in flight, and it is sent until it is settled: so order is kept whatever fails.
 */
export class PartitionQueue {
  readonly #host: QueueHost;
  readonly #index: number;
  readonly #destination: Destination;
  readonly #deps: SinkDeps;
  /** Aborted when the sink closes. */
  readonly #signal: AbortSignal;
  #open: Batch | undefined;
  readonly #closed: { readonly batch: Batch; readonly prepared: Promise<void> }[] = [];
  /** Open when there is no reason to linger: a full batch, or a flush. */
  readonly #urgent = new Gate();
  #isRunning = false;
  #isStuck = false;
  #linesAccepted = 0;
  #linesSettled = 0;
  readonly #drainWaiters: { readonly lines: number; readonly resolve: () => void }[] = [];

  constructor(options: {
    readonly host: QueueHost;
    readonly index: number;
    readonly destination: Destination;
    readonly deps: SinkDeps;
    readonly signal: AbortSignal;
  }) {
    this.#host = options.host;
    this.#index = options.index;
    this.#destination = options.destination;
    this.#deps = options.deps;
    this.#signal = options.signal;
  }

  /** True while the last attempt has failed: nothing more should be accepted. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Takes every line, at once. */
  append(delivery: Delivery): void {
    const { count } = delivery.spans;
    for (let next = 0; next < count; ) {
      this.#open ??= this.#host.newBatch();
      const end = this.#open.append(delivery, next);
      if (end < count) this.#closeOpen();
      next = end;
    }
    this.#linesAccepted += count;
    this.#start();
  }

  /** Sends what is there without lingering; resolves when every line accepted so far is settled. */
  drain(): Promise<void> {
    if (this.#linesSettled === this.#linesAccepted) return Promise.resolve();
    if (this.#open !== undefined) this.#closeOpen();
    return new Promise((resolve) => {
      this.#drainWaiters.push({ lines: this.#linesAccepted, resolve });
    });
  }

  /** Gives the memory of all batches back; they stay unacknowledged. The signal has been aborted. */
  discard(): void {
    this.#open?.release();
    this.#open = undefined;
    for (const { batch } of this.#closed) batch.release();
    this.#closed.length = 0;
  }

  #closeOpen(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    const prepared = batch.prepare();
    // Looked at when its turn comes; a failure until then is not unhandled.
    prepared.catch(() => undefined);
    this.#closed.push({ batch, prepared });
    this.#urgent.open();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // A rejection here is a bug of ours, and ends the process as one.
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#open !== undefined || this.#closed.length > 0) {
        await this.#gather();
        const first = this.#closed[0];
        if (first === undefined) continue;
        await first.prepared;
        await this.#deliver(first.batch);
      }
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  /** Makes sure that a batch is closed. */
  async #gather(): Promise<void> {
    if (this.#closed.length > 0) return;
    this.#urgent.shut();
    const linger = new AbortController();
    const signal = AbortSignal.any([this.#signal, linger.signal]);
    const slept = this.#deps.clock.sleep(LINGER_MS, { signal }).catch(() => undefined);
    await Promise.race([slept, this.#urgent.wait({ signal }).catch(() => undefined)]);
    linger.abort();
    this.#signal.throwIfAborted();
    this.#closeOpen();
  }

  async #deliver(batch: Batch): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const info = await this.#host.ready({ signal: this.#signal });
      try {
        await this.#destination.send(
          { topic: this.#host.name, partition: this.#index % info.partitions },
          batch,
        );
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!(error instanceof DeliveryError)) throw error;
        this.#deps.observer?.onError({ topic: this.#host.name, code: error.code });
        if (error.remedy === "too-large") return await this.#cut(batch, error);
        await this.#backOff(error, attempt);
        continue;
      }
      this.#signal.throwIfAborted();
      return this.#settle(batch, () => batch.ledger.acked());
    }
  }

  async #backOff(error: DeliveryError, attempt: number): Promise<void> {
    this.#isStuck = true;
    this.#host.trouble(this.#index, error);
    const waitMs = backoffMs(attempt, error.remedy === "slow" ? SLOW : SOON, this.#deps.random);
    await this.#deps.clock.sleep(waitMs, { signal: this.#signal });
    if (error.isTopicStale) this.#host.refresh();
  }

  /** The destination takes no batch of this size: halves are tried, down to the line that is too long by itself. */
  async #cut(batch: Batch, error: DeliveryError): Promise<void> {
    if (batch.ledger.lines === 1) {
      this.#deps.logger.error(
        { topic: this.#host.name, code: error.code, lineBytes: batch.ledger.bytes, reason: error.message },
        "A line was refused for good",
      );
      return this.#settle(batch, () => batch.ledger.rejected(error.message));
    }
    const halves = await batch.split();
    const prepared = Promise.resolve();
    this.#closed.splice(0, 1, ...halves.map((half) => ({ batch: half, prepared })));
  }

  #settle(batch: Batch, report: () => void): void {
    this.#closed.shift();
    batch.release();
    if (this.#isStuck) {
      this.#isStuck = false;
      this.#host.trouble(this.#index, undefined);
    }
    report();
    this.#linesSettled += batch.ledger.lines;
    this.#host.settled(batch);
    while (this.#drainWaiters[0] !== undefined && this.#drainWaiters[0].lines <= this.#linesSettled) {
      this.#drainWaiters.shift()?.resolve();
    }
  }
}
