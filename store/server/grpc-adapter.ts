import {
  logVerbosity,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { asBuffer } from "../../base/as-buffer.ts";
import { CodedError, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { GRPC_CODE, type GrpcCode, StoreError } from "../proto/errors.ts";
import { AcceptedSockets } from "./accepted-sockets.ts";
import { type GrpcStatus, statusOf } from "./grpc-status.ts";
import { incomingMessages, writeMessage } from "./incoming-messages.ts";
import type { CallContext, ServiceTable, StreamHandler, UnaryHandler } from "./service.ts";
import { slicedAnswers } from "./sliced-answers.ts";

// Its own lines would stand between our JSON ones; all that matters in them reaches us as an error.
setLogVerbosity(logVerbosity.NONE);

/** Room above the store's own limit, so that a request a little over it is refused in the store's words (as in etcd). */
const RECEIVE_OVERHEAD_BYTES = 512 * 1024;
/** How long calls that are under way may take to end when the server stops. */
const STOP_LIMIT_MS = 2_000;

export interface GrpcAdapterOptions {
  readonly table: ServiceTable;
  readonly logger: Logger;
  /** etcd `--max-request-bytes`. */
  readonly requestBytesMax: number;
  /** etcd `--max-concurrent-streams`, of one connection. */
  readonly concurrentStreamsMax: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Told of every call's end, for metrics. */
  readonly onHandled: (path: string, kind: "unary" | "stream", code: GrpcCode) => void;
}

/** Carries a service table on `@grpc/grpc-js`: bytes in, bytes out. */
export class GrpcAdapter {
  readonly #options: GrpcAdapterOptions;
  readonly #server: Server;
  readonly #sockets = new AcceptedSockets();
  readonly #calls = new Set<AbortController>();
  #stopped: Promise<void> | undefined;

  constructor(options: GrpcAdapterOptions) {
    this.#options = options;
    this.#server = new Server({
      interceptors: [slicedAnswers],
      "grpc.max_receive_message_length": options.requestBytesMax + RECEIVE_OVERHEAD_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": options.concurrentStreamsMax,
      // grpc-js takes its own default for 0, and etcd switches the pings off.
      ...(options.keepaliveIntervalMs > 0 && { "grpc.keepalive_time_ms": options.keepaliveIntervalMs }),
      ...(options.keepaliveTimeoutMs > 0 && { "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs }),
    });
    for (const [path, handler] of options.table) {
      if (handler.kind === "unary") this.#addUnary(path, handler.call);
      else this.#addStream(path, handler.call);
    }
  }

  /** Listens on an address ("127.0.0.1:2379", "[::]:0") and resolves with its port. Throws CodedError ELISTEN. */
  async listen(address: string): Promise<number> {
    try {
      return await new Promise((resolve, reject) => {
        this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
          if (error !== null) return reject(error);
          this.#sockets.watch(port);
          resolve(port);
        });
      });
    } catch (error) {
      throw new CodedError("ELISTEN", errorMessage(error), { cause: error });
    }
  }

  /** Takes no more calls, ends those under way with "server stopped", and closes. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const call of this.#calls) call.abort(new StoreError("Stopped"));
    const force = setTimeout(() => this.#force(), STOP_LIMIT_MS);
    await closed;
    clearTimeout(force);
    this.#sockets.close();
  }

  #force(): void {
    this.#server.forceShutdown();
    this.#sockets.destroy();
  }

  #addUnary(path: string, handle: UnaryHandler): void {
    const call = (call: ServerUnaryCall<Uint8Array, Uint8Array>, respond: sendUnaryData<Uint8Array>) => {
      const controller = this.#begin(call);
      const end = (code: GrpcCode) => {
        this.#calls.delete(controller);
        this.#options.onHandled(path, "unary", code);
      };
      handle(call.request, contextOf(call, controller.signal)).then(
        (response) => {
          end(GRPC_CODE.ok);
          respond(null, response);
        },
        (error: unknown) => {
          const status = this.#statusOf(error, path);
          end(status.code);
          respond(status);
        },
      );
    };
    this.#server.register(path, call, asBuffer, identity, "unary");
  }

  #addStream(path: string, handle: StreamHandler): void {
    const call = (call: ServerDuplexStream<Uint8Array, Uint8Array>) => {
      const controller = this.#begin(call);
      const { signal } = controller;
      const end = (code: GrpcCode) => {
        this.#calls.delete(controller);
        this.#options.onHandled(path, "stream", code);
      };
      const respond = (message: Uint8Array) => writeMessage(call, message, signal);
      handle(incomingMessages(call, signal), respond, contextOf(call, signal)).then(
        () => {
          end(GRPC_CODE.ok);
          call.end();
        },
        (error: unknown) => {
          const status = this.#statusOf(error, path);
          end(status.code);
          // grpc-js ends a stream with a status by this event, and offers no other way.
          if (!call.cancelled) call.emit("error", status);
        },
      );
    };
    this.#server.register(path, call, asBuffer, identity, "bidi");
  }

  #begin(call: ServerUnaryCall<Uint8Array, Uint8Array> | ServerDuplexStream<Uint8Array, Uint8Array>) {
    const controller = new AbortController();
    this.#calls.add(controller);
    call.on("cancelled", () => controller.abort());
    if (this.#stopped !== undefined) controller.abort(new StoreError("Stopped"));
    return controller;
  }

  #statusOf(error: unknown, path: string): GrpcStatus {
    return statusOf(error, { path, logger: this.#options.logger });
  }
}

function contextOf(
  call: { readonly metadata: Metadata; getPeer(): string },
  signal: AbortSignal,
): CallContext {
  let metadata: ReadonlyMap<string, string> | undefined;
  return {
    // Few handlers look at it, and every call would pay for it.
    get metadata() {
      metadata ??= firstValues(call.metadata);
      return metadata;
    },
    signal,
    get peer() {
      return call.getPeer();
    },
  };
}

function firstValues(metadata: Metadata): ReadonlyMap<string, string> {
  return new Map(Object.entries(metadata.getMap()).map(([key, value]) => [key, value.toString()]));
}

function identity(bytes: Buffer): Uint8Array {
  return bytes;
}
