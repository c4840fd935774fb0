import type { Socket } from "node:net";
import type { Connection } from "@platformatic/kafka";
import { CodedError } from "../../../base/errors.ts";
import { invariant } from "../../../base/invariant.ts";

/** Ids from here on are ours; the connection counts its own from 1. */
const OUR_IDS_FROM = 0x4000_0000;
const SIZE_BYTES = 4;
const ID_BYTES = 4;
/** No answer to a Produce, Metadata or DescribeConfigs request comes near. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024;

interface Pending {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Requests of our own on a connection of `@platformatic/kafka`, beside those that it sends itself. It has dialled, spoken TLS and
 * logged in; but its `send()` copies a request twice, and ours hold megabytes of records that are in memory already. So
 * requests are written to the socket as they are, with ids of a range of our own, and answers are told apart by their id:
 * what is not ours goes on to the connection.
 */
export class BrokerSocket {
  readonly connection: Connection;
  readonly #socket: Socket;
  readonly #theirs: (chunk: Buffer) => void;
  readonly #pending = new Map<number, Pending>();
  #nextId = OUR_IDS_FROM;
  /** Chunks of a frame that is not complete; gathered, and put together once. */
  #chunks: Buffer[] = [];
  #chunksBytes = 0;
  /** Below it there is no complete frame. */
  #wantedBytes = SIZE_BYTES;
  #failure: Error | undefined;

  /** `connection` has just connected. */
  constructor(connection: Connection) {
    this.connection = connection;
    this.#socket = connection.socket;
    const listeners = this.#socket.listeners("data");
    invariant(
      listeners.length === 1,
      `the connection reads its socket with ${listeners.length} listeners, expected 1`,
    );
    this.#theirs = listeners[0] as (chunk: Buffer) => void;
    this.#socket.off("data", this.#theirs);
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    connection.once("close", () => this.#fail(new CodedError("ECONNRESET", "the connection was closed")));
    connection.on("error", (error) => this.#fail(error));
  }

  /** False from the moment it failed. */
  get isUsable(): boolean {
    return this.#failure === undefined && this.connection.isConnected();
  }

  /** An id for a request. */
  takeId(): number {
    const id = this.#nextId;
    this.#nextId = id === 0x7fff_ffff ? OUR_IDS_FROM : id + 1;
    return id;
  }

  /**
   * Writes a request; resolves with its answer, everything behind the id. The buffers must not change until it settles. Rejects when the
   * connection breaks or is destroyed.
   */
  request(id: number, buffers: readonly Buffer[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#pending.set(id, { resolve, reject });
      this.#socket.cork();
      for (const buffer of buffers) this.#socket.write(buffer);
      this.#socket.uncork();
    });
  }

  /** Ends it at once; everything pending rejects with `reason`. */
  destroy(reason: Error): void {
    this.#fail(reason);
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }

  #onData(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#chunksBytes += chunk.length;
    if (this.#chunksBytes < this.#wantedBytes) return;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#chunksBytes);
    this.#wantedBytes = SIZE_BYTES;
    while (rest.length >= SIZE_BYTES) {
      const end = SIZE_BYTES + rest.readInt32BE(0);
      if (end < SIZE_BYTES + ID_BYTES || end > FRAME_BYTES_MAX) {
        this.destroy(new CodedError("EKAFKAFRAME", `a frame of ${end - SIZE_BYTES} bytes was received`));
        return;
      }
      if (rest.length < end) {
        this.#wantedBytes = end;
        break;
      }
      this.#onFrame(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#chunksBytes = rest.length;
  }

  #onFrame(frame: Buffer): void {
    const id = frame.readInt32BE(SIZE_BYTES);
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      this.#pending.delete(id);
      pending.resolve(frame.subarray(SIZE_BYTES + ID_BYTES));
    } else if (id < OUR_IDS_FROM) this.#theirs(frame);
  }
}
