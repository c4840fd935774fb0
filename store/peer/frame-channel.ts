import type { Socket } from "node:net";
import { errorMessage } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Later } from "../../base/later.ts";
import { FRAME_PAYLOAD_BYTES_MAX, type Frame, FrameDecoder } from "./frame.ts";
import { HANDSHAKE_BYTES_MAX } from "./handshake.ts";
import type { ByteMeter } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import type { PeerLimits } from "./peer-limits.ts";

export interface ChannelOptions {
  readonly later: Later;
  readonly limits: Pick<PeerLimits, "receiveBytesPerTurn" | "lingerMs">;
}

/**
 * Frames over one socket, whose owner it is. Frames are read one at a time, and the socket waits while nobody reads; or all
 * of them go to a function. Until {@link open} only frames of a handshake's size are taken.
 */
export class FrameChannel {
  /** Address and port of the other side, for logs. */
  readonly remote: string;
  /** Resolves with the failure when the socket is gone. */
  readonly closed: Promise<Error>;
  readonly #socket: Socket;
  readonly #options: ChannelOptions;
  readonly #decoder = new FrameDecoder(HANDSHAKE_BYTES_MAX);
  readonly #drains = new Set<PromiseWithResolvers<void>>();
  #meter: ByteMeter = { sentBytes: 0, receivedBytes: 0 };
  #sink: ((frame: Frame) => void) | undefined;
  #reader: PromiseWithResolvers<Frame> | undefined;
  #failure: Error | undefined;
  /** Bytes taken in since others had a turn. */
  #turnBytes = 0;
  #resting = false;
  #readings = 0;

  constructor(socket: Socket, options: ChannelOptions) {
    this.#socket = socket;
    this.#options = options;
    this.remote = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? "?"}`;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        resolve(this.#fail(new PeerError("EPEERCLOSED", `Connection with ${this.remote} was closed`)));
      });
    });
    socket.pause();
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => {
      const reason = `Connection with ${this.remote} failed: ${errorMessage(error)}`;
      this.#fail(error instanceof PeerError ? error : new PeerError("EPEERCLOSED", reason, { cause: error }));
    });
  }

  /** The handshake is over: frames of any size that there is are taken, and bytes are counted. */
  open(meter: ByteMeter): void {
    this.#decoder.payloadBytesMax = FRAME_PAYLOAD_BYTES_MAX;
    this.#meter = meter;
  }

  /** Why the channel is of no more use; undefined while it is. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** How often bytes came in: it does not change while the other side is silent. */
  get readings(): number {
    return this.#readings;
  }

  /** The first bytes that were not understood. */
  get head(): Buffer {
    return this.#decoder.head;
  }

  /** Bytes that the socket holds because the network does not take them. */
  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  /** The next frame. One call at a time. Rejects with the channel's failure, or EPEERFRAME, behind which nothing comes. */
  read(): Promise<Frame> {
    invariant(this.#reader === undefined && this.#sink === undefined, "one reader at a time has a channel");
    const reader = Promise.withResolvers<Frame>();
    this.#reader = reader;
    this.#deliver();
    return reader.promise;
  }

  /** From now on each frame goes to `sink`, which may throw a PeerError: that is the channel's failure. */
  consume(sink: (frame: Frame) => void): void {
    invariant(this.#reader === undefined && this.#sink === undefined, "one reader at a time has a channel");
    this.#sink = sink;
    this.#deliver();
  }

  /** Whatever comes from now on is left alone. A read that waits rejects with `reason`. */
  discard(reason: Error): void {
    this.#reader?.reject(reason);
    this.#reader = undefined;
    this.#sink = () => undefined;
    this.#deliver();
  }

  /**
   * Sends bytes, which must not change from now on. `onSent`: the network has taken them. What is not sent when the channel
   * fails is lost without a word.
   */
  write(bytes: Uint8Array, onSent?: () => void): void {
    if (this.#failure !== undefined) return;
    this.#meter.sentBytes += bytes.byteLength;
    this.#socket.write(bytes, (error) => {
      if (!error) onSent?.();
    });
  }

  /** Resolves when the network takes more; rejects with the channel's failure. */
  drained(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.#socket.writableNeedDrain) return Promise.resolve();
    const drain = Promise.withResolvers<void>();
    this.#drains.add(drain);
    return drain.promise;
  }

  /**
   * Sends what is buffered, and closes when the other side does; at the latest after `lingerMs`. To close at once, with
   * something unread, would take back what the other side has not read yet.
   */
  end(): void {
    this.#break(new PeerError("EPEERCLOSED", `Connection with ${this.remote} was closed here`));
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.end();
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), this.#options.limits.lingerMs);
    this.#socket.once("close", () => clearTimeout(timer));
  }

  /** Closes at once. `reason` becomes the failure, unless there is one. */
  destroy(reason: Error): void {
    this.#fail(reason);
  }

  /** {@link destroy} with the signal's reason, when it aborts before what this returns is called. */
  destroyOn(signal: AbortSignal): () => void {
    const onAbort = () => this.destroy(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#readings += 1;
    this.#meter.receivedBytes += chunk.length;
    this.#turnBytes += chunk.length;
    this.#decoder.push(chunk);
    this.#deliver();
  }

  /** Hands out what is whole, and lets the socket go on as far as somebody wants more. */
  #deliver(): void {
    try {
      while (this.#sink !== undefined || this.#reader !== undefined) {
        if (this.#failure !== undefined) break;
        const frame = this.#decoder.next();
        if (frame === undefined) break;
        this.#give(frame);
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#misread(error);
    }
    this.#steer();
  }

  #give(frame: Frame): void {
    if (this.#sink !== undefined) {
      this.#sink(frame);
      return;
    }
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(frame);
  }

  /** Who reads may have something to say to that before it closes; a sink has not. */
  #misread(error: PeerError): void {
    if (this.#reader === undefined) {
      this.#fail(error);
      return;
    }
    this.#reader.reject(error);
    this.#reader = undefined;
  }

  #steer(): void {
    if (this.#failure !== undefined) {
      this.#reader?.reject(this.#failure);
      this.#reader = undefined;
      return;
    }
    if (this.#reader === undefined && this.#sink === undefined) {
      this.#socket.pause();
    } else if (this.#turnBytes < this.#options.limits.receiveBytesPerTurn) {
      this.#socket.resume();
    } else if (!this.#resting) {
      this.#rest();
    }
  }

  /** Others get a turn before more is taken in. */
  #rest(): void {
    this.#resting = true;
    this.#socket.pause();
    this.#options.later(() => {
      this.#resting = false;
      this.#turnBytes = 0;
      this.#steer();
    });
  }

  #drained(): void {
    for (const drain of this.#drains) drain.resolve();
    this.#drains.clear();
  }

  #fail(reason: Error): Error {
    this.#socket.destroy();
    return this.#break(reason);
  }

  /** Nothing comes or goes any more. Returns the first reason there was. */
  #break(reason: Error): Error {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = reason;
    this.#reader?.reject(reason);
    this.#reader = undefined;
    for (const drain of this.#drains) drain.reject(reason);
    this.#drains.clear();
    return reason;
  }
}
