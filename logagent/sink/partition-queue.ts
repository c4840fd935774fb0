import { sleepUnlessAborted } from "../../base/clock.ts";
import { type Batch, DeliveryError, type Destination, type TopicInfo } from "./destination.ts";
import { Gate } from "./gate.ts";
import type { QueueDeps } from "./options.ts";
import type { Delivery } from "./port.ts";
import { SendWindow, type Step } from "./send-window.ts";

/** How long a batch that is not full waits for more lines. While others are on their way it waits for them as well. */
const LINGER_MS = 10;

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
  /** The topic refused a line for good; it is among the dead letters. */
  refused(refusal: { readonly error: DeliveryError; readonly lineBytes: number }): void;
  /** The lines of a batch are settled; their bytes are free again. */
  settled(batch: Batch): void;
}

interface Closed {
  readonly batch: Batch;
  readonly prepared: Promise<void>;
}

type SendStep = Extract<Step<Closed>, { readonly kind: "send" }>;
type CutStep = Extract<Step<Closed>, { readonly kind: "cut" }>;

/**
 * The batches of one partition, in order: one gathers lines, the others are in a window that says which is sent when. They
 * are sent until they are settled.
 */
export class PartitionQueue {
  readonly #host: QueueHost;
  readonly #index: number;
  readonly #destination: Destination;
  readonly #deps: QueueDeps;
  /** Aborted when the sink closes. */
  readonly #signal: AbortSignal;
  #open: Batch | undefined;
  readonly #window: SendWindow<Closed>;
  /** Opened by whatever may change the next step: a batch is closed, one is answered. */
  readonly #changed = new Gate();
  #isRunning = false;
  #isStuck = false;
  #isTopicStale = false;
  #linesAccepted = 0;
  #linesSettled = 0;
  readonly #drainWaiters: { readonly lines: number; readonly resolve: () => void }[] = [];

  constructor(options: {
    readonly host: QueueHost;
    readonly index: number;
    readonly destination: Destination;
    readonly deps: QueueDeps;
    readonly signal: AbortSignal;
  }) {
    this.#host = options.host;
    this.#index = options.index;
    this.#destination = options.destination;
    this.#deps = options.deps;
    this.#signal = options.signal;
    this.#window = new SendWindow({ isNumbered: options.destination.identify !== undefined });
  }

  /** True while the last attempt has failed: nothing more should be accepted. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Takes every line, at once, each charged with so much beyond its bytes in the file. */
  append(delivery: Delivery, lineOverheadBytes: number): void {
    const { count } = delivery.spans;
    for (let first = 0; first < count; ) {
      this.#open ??= this.#host.newBatch();
      const end = this.#open.append(delivery, { first, lineOverheadBytes });
      if (end < count) this.#closeOpen();
      first = end;
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
    for (const { batch } of this.#window.batches()) batch.release();
    this.#window.clear();
  }

  #closeOpen(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    const prepared = batch.prepare();
    // Looked at when its turn comes; a failure until then is not unhandled.
    prepared.catch(() => undefined);
    this.#window.add({ batch, prepared }, batch.ledger.lines);
    this.#changed.open();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // A rejection here is a bug of ours, and ends the process as one.
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#open !== undefined || this.#window.size > 0) {
        if (this.#window.size === 0) await this.#gather();
        else await this.#step();
      }
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  /** Makes sure that a batch is closed. */
  async #gather(): Promise<void> {
    this.#changed.shut();
    const linger = new AbortController();
    const signal = AbortSignal.any([this.#signal, linger.signal]);
    const slept = sleepUnlessAborted(this.#deps.clock, LINGER_MS, { signal });
    await Promise.race([slept, this.#changed.wait({ signal }).catch(() => undefined)]);
    linger.abort();
    this.#signal.throwIfAborted();
    this.#closeOpen();
  }

  async #step(): Promise<void> {
    if (this.#isTopicStale) return await this.#refresh();
    const { partitions } = await this.#host.ready({ signal: this.#signal });
    this.#changed.shut();
    const partition = this.#index % partitions;
    const step = this.#window.next({ nowMs: this.#deps.clock.monotonicMs(), partition });
    switch (step.kind) {
      case "send":
        // In order: the second may be compressed before the first.
        await step.batch.prepared;
        this.#signal.throwIfAborted();
        void this.#send(step);
        return;
      case "identify":
        return await this.#identify(step.isFresh);
      case "cut":
        return await this.#cut(step);
      case "wait":
        return await this.#wait(step.untilMs);
      default:
        step satisfies never;
    }
  }

  async #wait(untilMs: number | undefined): Promise<void> {
    const signal = this.#signal;
    if (untilMs === undefined) return await this.#changed.wait({ signal });
    const waitMs = Math.max(0, untilMs - this.#deps.clock.monotonicMs());
    await this.#deps.clock.sleep(waitMs, { signal });
  }

  /** Behind the back-off: by then the brokers may agree. */
  async #refresh(): Promise<void> {
    await this.#wait(this.#window.notBeforeMs);
    this.#isTopicStale = false;
    this.#host.refresh();
  }

  /** Rejects for bugs only, which end the process. */
  async #send({ batch, partition, attempt, stamp }: SendStep): Promise<void> {
    let failure: DeliveryError | undefined;
    try {
      await this.#destination.send({ topic: this.#host.name, partition }, batch.batch, stamp);
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!(error instanceof DeliveryError)) throw error;
      failure = error;
    }
    if (this.#signal.aborted) return;
    const outcome = this.#window.answered(attempt, failure, this.#now());
    for (const settled of outcome.settled) this.#settle(settled.batch, () => settled.batch.ledger.acked());
    if (outcome.failure !== undefined) this.#failed(outcome.failure);
    this.#changed.open();
  }

  async #identify(isFresh: boolean): Promise<void> {
    try {
      const identity = await this.#destination.identify?.({ isFresh });
      this.#signal.throwIfAborted();
      if (identity !== undefined) this.#window.identified(identity);
    } catch (error) {
      this.#hold(error);
    }
  }

  /** The destination takes no batch of this size: halves are tried, down to the line that is too long by itself. */
  async #cut({ batch: { batch }, error }: CutStep): Promise<void> {
    if (batch.ledger.lines > 1) {
      const halves = await batch.split();
      const prepared = Promise.resolve();
      const parts = halves.map((half) => ({ batch: { batch: half, prepared }, lines: half.ledger.lines }));
      this.#window.replaceFirst(parts);
      return;
    }
    try {
      await this.#keep(batch, error);
    } catch (failure) {
      return this.#hold(failure);
    }
    this.#window.dropFirst();
    this.#settle(batch, () => batch.ledger.rejected(error.message));
  }

  /** Puts the only line of a batch, refused for good, among the dead letters. Rejects with DeliveryError. */
  async #keep(batch: Batch, error: DeliveryError): Promise<void> {
    const topic = this.#host.name;
    const { code, message: reason } = error;
    const { deadLetters, clock } = this.#deps;
    if (deadLetters !== undefined) {
      const bytes = await batch.onlyLine();
      for (const { file, from, to } of batch.ledger.ranges()) {
        await deadLetters.write({ topic, file, from, to, atMs: clock.wallMs(), code, reason, bytes });
      }
    }
    this.#signal.throwIfAborted();
    this.#host.refused({ error, lineBytes: batch.ledger.bytes });
  }

  /** What the window asked for could not be done; it asks again. */
  #hold(error: unknown): void {
    this.#signal.throwIfAborted();
    if (!(error instanceof DeliveryError)) throw error;
    this.#window.held(error, this.#now());
    this.#failed(error);
  }

  #failed(error: DeliveryError): void {
    this.#deps.observer?.onError({ topic: this.#host.name, code: error.code });
    if (error.remedy === "too-large") return;
    this.#isStuck = true;
    this.#isTopicStale ||= error.isTopicStale;
    this.#host.trouble(this.#index, error);
  }

  #settle(batch: Batch, report: () => void): void {
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

  #now(): { readonly nowMs: number; readonly random: QueueDeps["random"] } {
    return { nowMs: this.#deps.clock.monotonicMs(), random: this.#deps.random };
  }
}
