import { errorMessage } from "../../base/errors.ts";

interface Item {
  readonly bytes: number;
  /** Encodes when it is sent, so that what waits is shared and not copied. */
  readonly encode: () => Iterable<Uint8Array>;
}

/**
 * Responses of one stream that wait for the client, in order. It counts bytes: who fills it asks `isFull` first, and hears
 * through `onRoom` when half of it is free again.
 */
export class OutboundQueue {
  readonly #respond: (message: Uint8Array) => Promise<void>;
  readonly #bytesMax: number;
  readonly #onRoom: () => void;
  readonly #items: Item[] = [];
  #bytes = 0;
  #sending: Promise<void> | undefined;
  #failure: Error | undefined;
  #roomWaiters: (() => void)[] = [];

  constructor(options: {
    readonly respond: (message: Uint8Array) => Promise<void>;
    readonly bytesMax: number;
    readonly onRoom: () => void;
  }) {
    this.#respond = options.respond;
    this.#bytesMax = options.bytesMax;
    this.#onRoom = options.onRoom;
  }

  /** True when nothing more should be put; what is put nevertheless (one control message) is sent all the same. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  put(item: Item): void {
    if (this.#failure !== undefined) return;
    this.#items.push(item);
    this.#bytes += item.bytes;
    this.#sending ??= this.#send();
  }

  /** Resolves when the queue is not full, or will never be sent. */
  async room(): Promise<void> {
    while (this.isFull && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Resolves when all that was put has been taken by the transport; throws what it failed with. */
  async drained(): Promise<void> {
    await this.#sending;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Forgets what waits. */
  discard(): void {
    this.#failure ??= new Error("the stream has ended");
    this.#items.length = 0;
    this.#wakeWaiters();
  }

  async #send(): Promise<void> {
    try {
      // The first message leaves after the turn that put it, so that what belongs together is queued together.
      await Promise.resolve();
      for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
        for (const message of item.encode()) await this.#respond(message);
        const wasFull = this.isFull;
        this.#bytes -= item.bytes;
        if (this.#bytes <= this.#bytesMax / 2) this.#onRoom();
        if (wasFull && !this.isFull) this.#wakeWaiters();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(errorMessage(error));
      this.discard();
    } finally {
      this.#sending = undefined;
    }
  }

  #wakeWaiters(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiters) wake();
  }
}
