import type { Delivery, ShippedFile, Sink, TopicStatus } from "../../logagent/sink/port.ts";

/** Bytes that were handed over, and are not settled. */
export interface Parcel {
  readonly topic: string;
  readonly file: ShippedFile;
  readonly from: number;
  readonly to: number;
  readonly lines: number;
}

export interface SinkWatcher {
  /** Before `deliver` resolves; `bytes` are the file's [from, to), newlines included. */
  delivered(parcel: Parcel, bytes: Buffer): void;
  /** Before the file is told. */
  settles(parcel: Parcel): void;
}

const LF = 10;

/** A destination that takes, delays, settles in any order and in parts, refuses for good, or takes nothing: as it is told. */
export class ModelSink implements Sink {
  readonly #watcher: SinkWatcher;
  #parcels: Parcel[] = [];
  #door = Promise.withResolvers<void>();
  #isOpen = true;
  deliveries = 0;

  constructor(watcher: SinkWatcher) {
    this.#watcher = watcher;
    this.#door.resolve();
  }

  get inFlightBytes(): number {
    return this.#parcels.reduce((sum, one) => sum + one.to - one.from, 0);
  }

  /** In the order of their delivery. */
  get parcels(): readonly Parcel[] {
    return this.#parcels;
  }

  async deliver(delivery: Delivery, options: { readonly signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!this.#isOpen) await Promise.race([this.#door.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    const { topic, file, spans } = delivery;
    const { from, to, count, base } = spans;
    const parcel = { topic, file, from, to, lines: count };
    this.deliveries += 1;
    this.#parcels.push(parcel);
    this.#watcher.delivered(parcel, Buffer.from(spans.bytes.subarray(from - base, to - base)));
  }

  /** Settles one parcel, or its end alone: `part` in [0, 1) is where in its lines that begins. */
  settle(
    index: number,
    options: { readonly bytes: (parcel: Parcel) => Buffer; readonly part?: number },
  ): void {
    const [parcel] = this.#parcels.splice(index, 1);
    if (parcel === undefined) return;
    const { from, to, lines, file } = parcel;
    const bytes = options.bytes(parcel);
    const middle = bytes.indexOf(LF, Math.floor((options.part ?? 0) * bytes.byteLength)) + 1;
    if (options.part === undefined || lines < 2 || middle <= 0 || middle >= bytes.byteLength) {
      this.#acked(parcel);
      return;
    }
    const first = bytes.subarray(0, middle).filter((byte) => byte === LF).byteLength;
    this.#parcels.splice(index, 0, { ...parcel, to: from + middle, lines: first });
    this.#acked({ topic: parcel.topic, file, from: from + middle, to, lines: lines - first });
  }

  settleAll(): void {
    for (const parcel of this.#parcels.splice(0)) this.#acked(parcel);
  }

  reject(index: number): void {
    const [parcel] = this.#parcels.splice(index, 1);
    if (parcel === undefined) return;
    this.#watcher.settles(parcel);
    parcel.file.rejected(parcel.from, parcel.to, parcel.lines, "the line is too large");
  }

  /** The agent is dead: nobody hears of them any more. */
  forget(): readonly Parcel[] {
    return this.#parcels.splice(0);
  }

  /** Deliveries wait from now on. */
  close(): Promise<void> {
    if (this.#isOpen) this.#door = Promise.withResolvers();
    this.#isOpen = false;
    return Promise.resolve();
  }

  open(): void {
    this.#isOpen = true;
    this.#door.resolve();
  }

  async flush(): Promise<void> {
    this.settleAll();
  }

  topic(name: string): TopicStatus {
    if (this.#isOpen) return { kind: "ready", warnings: [] };
    return { kind: "waiting", reason: `Cannot deliver to topic ${name}: it is closed`, sinceMs: 0 };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #acked(parcel: Parcel): void {
    this.#watcher.settles(parcel);
    parcel.file.acked(parcel.from, parcel.to, parcel.lines);
  }
}
