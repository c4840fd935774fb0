import type { Random } from "../../base/random.ts";
import type { ClientLimits } from "../../conf/client-config.ts";
import { ClientError } from "./client-error.ts";
import { Connection, type TlsOptions } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ConnectionState } from "./types.ts";

export interface ConnectionsOptions {
  readonly endpoints: readonly Endpoint[];
  readonly limits: ClientLimits;
  readonly tls: TlsOptions;
  readonly random: Random;
  readonly onState: (state: ConnectionState) => void;
}

/**
 * The one connection in use and, when it fails, the next endpoint's. The first endpoint is drawn at random, so that a
 * fleet spreads over the members; after that the client stays where it is for as long as it is served there.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  #at: number;
  #current: Connection | undefined;
  #told: ConnectionState | undefined;
  /** Of this one it was told that it broke. */
  #broken: Connection | undefined;
  readonly #closing = new AbortController();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#at = Math.floor(options.random.next() * options.endpoints.length);
  }

  get endpointCount(): number {
    return this.#options.endpoints.length;
  }

  /** Aborted by {@link close}, with the error that says so: what stands open ends. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The connection to use now; the caller waits until it is settled. Throws when the client was closed. */
  current(): Connection {
    this.closing.throwIfAborted();
    if (this.#current === undefined || this.#current.closed) {
      const endpoint = this.#options.endpoints[this.#at % this.endpointCount] as Endpoint;
      this.#current = this.open(endpoint);
    }
    return this.#current;
  }

  /** A connection of its own to one endpoint; the caller closes it. */
  open(endpoint: Endpoint): Connection {
    return new Connection(endpoint, this.#options);
  }

  /** `connection` serves. */
  succeeded(connection: Connection): void {
    if (connection !== this.#current) return;
    const endpoint = connection.endpoint.text;
    if (this.#told?.kind === "connected" && this.#told.endpoint === endpoint) return;
    this.#tell({ kind: "connected", endpoint });
    connection.onBroken(() => {
      // A call or a watch that was under way tells why, and is heard of first.
      setImmediate(() => {
        if (connection !== this.#current) return;
        this.#broken = connection;
        this.#tell({ kind: "disconnected", endpoint, reason: "the connection broke", retryInMs: 0 });
      });
    });
  }

  /**
   * `connection` does not serve: it is closed, and the next endpoint is the current one. Where the only endpoint
   * `answered`, and has no leader say, the connection is kept.
   */
  failed(
    connection: Connection,
    failure: { readonly reason: string; readonly retryInMs: number; readonly answered: boolean },
  ): void {
    // Others that used the same connection have moved on already.
    if (connection !== this.#current) return;
    if (!failure.answered || this.endpointCount > 1) {
      this.#current = undefined;
      this.#at = (this.#at + 1) % this.endpointCount;
      connection.close();
    }
    if (connection === this.#broken) return;
    const { reason, retryInMs } = failure;
    this.#tell({ kind: "disconnected", endpoint: connection.endpoint.text, reason, retryInMs });
  }

  /** Idempotent. */
  close(): void {
    const message = "Cannot use the store's client: it was closed";
    this.#closing.abort(new ClientError("Unreachable", message, { detail: "closed", retryable: false }));
    this.#current?.close();
    this.#current = undefined;
  }

  #tell(state: ConnectionState): void {
    const told = this.#told;
    const reason = state.kind === "disconnected" ? state.reason : "";
    const toldReason = told?.kind === "disconnected" ? told.reason : "";
    if (told?.kind === state.kind && told.endpoint === state.endpoint && toldReason === reason) return;
    this.#told = state;
    this.#options.onState(state);
  }
}
