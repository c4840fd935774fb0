import { untilAborted } from "../../base/until-aborted.ts";
import type { PartMark } from "../../logagent/framing/types.ts";
import type { Delivery, ShippedFile, Sink, TopicStatus } from "../../logagent/sink/port.ts";

/** One line as it arrived. */
export interface ArrivedLine {
  readonly topic: string;
  readonly fileId: string;
  readonly path: string;
  /** Where in the file. */
  readonly offset: number;
  readonly value: Buffer;
  /** Of something longer. */
  readonly part: PartMark | undefined;
}

/** Lines of one delivery, next to each other. */
interface Unacked {
  readonly file: ShippedFile;
  readonly from: number;
  readonly to: number;
  readonly lines: readonly ArrivedLine[];
}

/**
 * A destination in memory that acknowledges when it is told to, in any order, whole or in parts, and can be made to take
 * nothing. A line has arrived when it was delivered; what is not acknowledged may be forgotten.
 */
export class MemorySink implements Sink {
  arrived: ArrivedLine[] = [];
  /** Acknowledge each delivery before it resolves. */
  autoAck: boolean;
  #unacked: Unacked[] = [];
  #closedTopics = new Map<string, PromiseWithResolvers<void>>();

  constructor(options: { readonly autoAck?: boolean } = {}) {
    this.autoAck = options.autoAck ?? true;
  }

  get inFlightBytes(): number {
    return this.#unacked.reduce((sum, one) => sum + one.to - one.from, 0);
  }

  get unackedDeliveries(): number {
    return this.#unacked.length;
  }

  /** Lines as text, in the order of arrival. */
  lines(topic?: string): string[] {
    return this.arrived
      .filter((line) => topic === undefined || line.topic === topic)
      .map((line) => line.value.toString("latin1"));
  }

  async deliver(delivery: Delivery, options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#room(delivery.topic, options.signal);
    const { file, spans, topic } = delivery;
    const lines: ArrivedLine[] = [];
    for (let i = 0; i < spans.count; i++) {
      const start = spans.starts[i] as number;
      const value = Buffer.from(spans.bytes.subarray(start, spans.ends[i]));
      const offset = spans.base + ((spans.positions ?? spans.starts)[i] as number);
      const part = spans.parts?.find(({ record }) => record === i);
      lines.push({ topic, fileId: file.id, path: file.path, offset, value, part });
    }
    this.arrived.push(...lines);
    this.#unacked.push({ file, from: spans.from, to: spans.to, lines });
    if (this.autoAck) this.ackAll();
  }

  /** Acknowledges one delivery, chosen by its place in the order of arrival; `keep` lines at its start stay without. */
  ack(index: number, keep = 0): void {
    const [one] = this.#unacked.splice(index, 1);
    if (one === undefined) return;
    const first = one.lines[keep];
    if (keep === 0 || first === undefined) {
      one.file.acked(one.from, one.to, one.lines.length);
      return;
    }
    this.#unacked.push({ file: one.file, from: one.from, to: first.offset, lines: one.lines.slice(0, keep) });
    one.file.acked(first.offset, one.to, one.lines.length - keep);
  }

  ackAll(): void {
    while (this.#unacked.length > 0) this.ack(0);
  }

  /** What is not acknowledged never will be; of that, deliveries for which `isLost` says so have never arrived. */
  forget(isLost: () => boolean = () => false): void {
    const lost = new Set(this.#unacked.flatMap((one) => (isLost() ? one.lines : [])));
    this.arrived = this.arrived.filter((line) => !lost.has(line));
    this.#unacked = [];
  }

  /** Deliveries to the topic wait from now on. */
  closeTopic(topic: string): void {
    if (!this.#closedTopics.has(topic)) this.#closedTopics.set(topic, Promise.withResolvers());
  }

  openTopic(topic: string): void {
    this.#closedTopics.get(topic)?.resolve();
    this.#closedTopics.delete(topic);
  }

  async flush(): Promise<void> {
    this.ackAll();
  }

  topic(name: string): TopicStatus {
    if (!this.#closedTopics.has(name)) return { kind: "ready", warnings: [] };
    return { kind: "waiting", reason: `Cannot deliver to topic ${name}: it is closed`, sinceMs: 0 };
  }

  async close(): Promise<void> {
    this.forget();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #room(topic: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const closed = this.#closedTopics.get(topic);
    if (closed !== undefined) await untilAborted(closed.promise, { signal });
  }
}
