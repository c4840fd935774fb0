import { backoffMs } from "../../../base/backoff.ts";
import { sleepUnlessAborted } from "../../../base/clock.ts";
import { CodedError } from "../../../base/errors.ts";
import { type HostPort, hostPortText } from "../../../base/host-port.ts";
import type { DeliveryError, ProducerStamp } from "../destination.ts";
import type { SinkDeps } from "../options.ts";
import type { BrokerSocket } from "./broker-socket.ts";
import { CLIENT_ID, type Dialer } from "./dial.ts";
import type { KafkaBatch } from "./kafka-batch.ts";
import { connectionError } from "./kafka-errors.ts";
import { encodeProduceRequest, type PartitionBatch } from "./produce-request.ts";
import { decodeProduceResponse, type PartitionResult } from "./produce-response.ts";

/** Requests on a connection that wait for their answer. */
const REQUESTS_IN_FLIGHT_MAX = 5;
/** A request is closed before it grows beyond; brokers take 100 MiB by default (socket.request.max.bytes). */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;
const REDIAL = { baseMs: 100, maxMs: 5_000 };

interface Waiting {
  readonly topic: string;
  readonly partition: number;
  readonly batch: KafkaBatch;
  readonly stamp: ProducerStamp;
  readonly resolve: (result: PartitionResult) => void;
  readonly reject: (error: Error) => void;
}

/** One broker: its connection, made when needed, and the Produce requests to it, each with batches of many partitions. */
export class Broker {
  readonly address: HostPort;
  readonly #dialer: Dialer;
  readonly #deps: SinkDeps;
  readonly #requestTimeoutMs: number;
  /** Aborted when the sink closes. */
  readonly #signal: AbortSignal;
  #socket: BrokerSocket | undefined;
  #dialing: Promise<BrokerSocket> | undefined;
  #dialFailures = 0;
  #lastDial: { readonly error: Error; readonly retryAtMs: number } | undefined;
  #waiting: Waiting[] = [];
  #isScheduled = false;
  readonly #sentAtMs = new Map<number, number>();
  #isWatching = false;
  #throttledUntilMs = 0;

  constructor(options: {
    readonly address: HostPort;
    readonly dialer: Dialer;
    readonly deps: SinkDeps;
    readonly requestTimeoutMs: number;
    readonly signal: AbortSignal;
  }) {
    this.address = options.address;
    this.#dialer = options.dialer;
    this.#deps = options.deps;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#signal = options.signal;
  }

  get isConnected(): boolean {
    return this.#socket?.isUsable ?? false;
  }

  /** Sends a batch with the next request; resolves with the broker's verdict. Rejects with DeliveryError without one. */
  send(
    target: { readonly topic: string; readonly partition: number },
    batch: KafkaBatch,
    stamp: ProducerStamp,
  ): Promise<PartitionResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...target, batch, stamp, resolve, reject });
      this.#schedule();
    });
  }

  /** A connection in working order. Rejects with DeliveryError; right after a failed attempt at once, with its error. */
  async socket(): Promise<BrokerSocket> {
    if (this.#socket?.isUsable) return this.#socket;
    this.#dialing ??= this.#dial().finally(() => {
      this.#dialing = undefined;
    });
    return await this.#dialing;
  }

  close(): void {
    const reason = new CodedError("ESINKCLOSED", "the sink is closed");
    this.#socket?.destroy(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  async #dial(): Promise<BrokerSocket> {
    if (this.#lastDial !== undefined && this.#deps.clock.monotonicMs() < this.#lastDial.retryAtMs) {
      throw this.#lastDial.error;
    }
    try {
      const socket = await this.#dialer.dial(this.address);
      if (this.#signal.aborted) socket.destroy(this.#signal.reason);
      this.#socket = socket;
      this.#dialFailures = 0;
      this.#lastDial = undefined;
      return socket;
    } catch (error) {
      const waitMs = backoffMs(this.#dialFailures++, REDIAL, this.#deps.random);
      this.#lastDial = { error: error as Error, retryAtMs: this.#deps.clock.monotonicMs() + waitMs };
      throw error;
    }
  }

  /** Batches that become ready in one turn of the event loop go into one request. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#sendWaiting();
    });
  }

  async #sendWaiting(): Promise<void> {
    if (this.#waiting.length === 0 || this.#sentAtMs.size >= REQUESTS_IN_FLIGHT_MAX) return;
    let socket: BrokerSocket;
    try {
      socket = await this.socket();
      await this.#waitForThrottle();
    } catch (error) {
      for (const { reject } of this.#waiting.splice(0)) reject(error as Error);
      return;
    }
    while (this.#waiting.length > 0 && this.#sentAtMs.size < REQUESTS_IN_FLIGHT_MAX) {
      void this.#request(socket, this.#takeRequest());
    }
  }

  /** As many batches as fit into a request, at most one for a partition. */
  #takeRequest(): readonly Waiting[] {
    const taken = new Map<string, Waiting>();
    const left: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      const key = `${waiting.topic}/${waiting.partition}`;
      const batchBytes = waiting.batch.recordsBytes;
      if (taken.has(key) || (taken.size > 0 && bytes + batchBytes > REQUEST_BYTES_MAX)) left.push(waiting);
      else {
        taken.set(key, waiting);
        bytes += batchBytes;
      }
    }
    this.#waiting = left;
    return [...taken.values()];
  }

  async #request(socket: BrokerSocket, sent: readonly Waiting[]): Promise<void> {
    const id = socket.takeId();
    const batches: PartitionBatch[] = sent.map(({ topic, partition, batch, stamp }) => {
      const [header, records] = batch.seal(stamp);
      return { topic, partition, header, records };
    });
    // The broker gives up on its replicas before this side gives up on the broker.
    const timeoutMs = Math.ceil(this.#requestTimeoutMs * 0.75);
    const request = encodeProduceRequest({ correlationId: id, clientId: CLIENT_ID, timeoutMs, batches });
    this.#sentAtMs.set(id, this.#deps.clock.monotonicMs());
    this.#watch();
    this.#deps.observer?.onRequest?.({ bytes: request.bytes, batches: batches.length });
    try {
      const response = decodeProduceResponse(await socket.request(id, request.buffers));
      const untilMs = this.#deps.clock.monotonicMs() + response.throttleTimeMs;
      this.#throttledUntilMs = Math.max(this.#throttledUntilMs, untilMs);
      this.#report(sent, response.results);
    } catch (error) {
      const failure = this.#failure(error);
      for (const { reject } of sent) reject(failure);
      socket.destroy(failure);
    } finally {
      this.#sentAtMs.delete(id);
      if (this.#waiting.length > 0) this.#schedule();
    }
  }

  #report(sent: readonly Waiting[], results: readonly PartitionResult[]): void {
    const byPartition = new Map(results.map((result) => [`${result.topic}/${result.partition}`, result]));
    for (const { topic, partition, resolve, reject } of sent) {
      const result = byPartition.get(`${topic}/${partition}`);
      if (result === undefined)
        reject(this.#failure(new Error(`no answer for partition ${partition} of ${topic}`)));
      else resolve(result);
    }
  }

  #failure(cause: unknown): DeliveryError {
    return connectionError(`Lost Kafka broker ${hostPortText(this.address)} before it confirmed`, cause);
  }

  async #waitForThrottle(): Promise<void> {
    const waitMs = this.#throttledUntilMs - this.#deps.clock.monotonicMs();
    if (waitMs > 0) await this.#deps.clock.sleep(waitMs, { signal: this.#signal });
  }

  /** Ends a connection that is open and mute. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    void this.#watchWhileBusy().finally(() => {
      this.#isWatching = false;
    });
  }

  async #watchWhileBusy(): Promise<void> {
    const { clock } = this.#deps;
    while (this.#sentAtMs.size > 0) {
      await sleepUnlessAborted(clock, Math.min(1_000, this.#requestTimeoutMs / 4), { signal: this.#signal });
      // The sink is closed, and with it the connection.
      if (this.#signal.aborted) return;
      const [oldestMs = Number.POSITIVE_INFINITY] = this.#sentAtMs.values();
      // A broker that has asked for quiet is quiet itself that long (KIP-219).
      const silentMs = clock.monotonicMs() - Math.max(oldestMs, this.#throttledUntilMs);
      if (silentMs < this.#requestTimeoutMs) continue;
      const text = `no answer to a request for ${Math.round(silentMs)} ms, expected one within ${this.#requestTimeoutMs} ms`;
      this.#socket?.destroy(new CodedError("ETIMEDOUT", text));
    }
  }
}
