import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  type Metadata,
} from "@grpc/grpc-js";
import type { ClientLimits } from "../../conf/client-config.ts";
import type { Endpoint } from "./endpoint.ts";
import { TransportTrouble } from "./failure.ts";
import type { Method } from "./method.ts";

/** What a TLS connection is made with; PEM. */
export interface TlsOptions {
  /** Absent: the machine's own authorities. */
  readonly ca?: Buffer;
  /** The client's certificate and key, where the store asks for one. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** Take any certificate; for tests. */
  readonly skipVerify?: boolean;
}

/** Messages to the store, in bytes; etcd takes no larger ones (`--max-request-bytes` and its allowance). */
const SEND_BYTES_MAX = 2 * 1024 * 1024;
/** Answers, in bytes: what etcd's own client takes. */
const RECEIVE_BYTES_MAX = 2 ** 31 - 1;
/** grpc-js closes a channel that had no call for a while; a client that is there is there to be used. */
const CHANNEL_IDLE_MS = 2 ** 31 - 1;

/**
 * One HTTP/2 connection to one endpoint, made when it is first used. When it breaks it is thrown away and another one is
 * made: when to try again is decided in one place, and not by the library's own back-off.
 */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #client: Client;
  #closed = false;

  constructor(endpoint: Endpoint, options: { readonly limits: ClientLimits; readonly tls: TlsOptions }) {
    this.endpoint = endpoint;
    const { ca, key, cert } = options.tls;
    const channelCredentials = endpoint.tls
      ? credentials.createSsl(ca ?? null, key ?? null, cert ?? null, {
          rejectUnauthorized: options.tls.skipVerify !== true,
        })
      : credentials.createInsecure();
    this.#client = new Client(endpoint.address, channelCredentials, channelOptions(options.limits));
  }

  /** Closed by {@link close}, or never usable again. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Resolves when it is connected, or has failed to connect: a call then leaves at once, or fails at once with the reason
   * and without leaving. Throws TransportTrouble, or the signal's reason.
   */
  settled(options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<void> {
    const { signal, timeoutMs } = options;
    const channel = this.#client.getChannel();
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        act();
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const timer = setTimeout(() => {
        const message = `no connection within ${Math.round(timeoutMs)} ms`;
        finish(() => reject(new TransportTrouble(message, { left: false })));
      }, timeoutMs);
      signal.addEventListener("abort", onAbort, { once: true });
      const look = () => {
        const state = this.#closed ? connectivityState.SHUTDOWN : channel.getConnectivityState(true);
        if (state === connectivityState.IDLE || state === connectivityState.CONNECTING) {
          channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
        } else {
          finish(resolve);
        }
      };
      if (signal.aborted) onAbort();
      else look();
    });
  }

  /** Calls `listener` once, when a connection that stands breaks or is closed by the other side. */
  onBroken(listener: () => void): void {
    const channel = this.#client.getChannel();
    if (this.#closed || channel.getConnectivityState(false) !== connectivityState.READY) return;
    channel.watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
      if (!this.#closed) listener();
    });
  }

  /** One request, one answer. Rejects with a gRPC ServiceError, or the signal's reason. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly metadata: Metadata },
  ): Promise<Response> {
    const { signal, metadata, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.serialize,
        method.deserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          signal.removeEventListener("abort", onAbort);
          if (signal.aborted) reject(signal.reason);
          else if (error !== null) reject(error);
          else resolve(response as Response);
        },
      );
      const onAbort = () => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Requests and answers as they come. The caller ends it or cancels it. */
  stream<Request, Response>(
    method: Method<Request, Response>,
    metadata: Metadata,
  ): ClientDuplexStream<Request, Response> {
    return this.#client.makeBidiStreamRequest(method.path, method.serialize, method.deserialize, metadata);
  }

  /** Calls under way go on to their end; new ones do not start. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.close();
  }
}

function channelOptions(limits: ClientLimits): ChannelOptions {
  return {
    "grpc.keepalive_time_ms": limits.keepAliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepAliveTimeoutMs,
    "grpc.max_send_message_length": SEND_BYTES_MAX,
    "grpc.max_receive_message_length": RECEIVE_BYTES_MAX,
    "grpc.client_idle_timeout_ms": CHANNEL_IDLE_MS,
    // A pool shared with other channels would carry one endpoint's back-off over to a new connection.
    "grpc.use_local_subchannel_pool": 1,
    // The store is on the machine's own network; etcd's client goes through no proxy either.
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
  };
}
