import type { Random } from "../../base/random.ts";
import type { ClientLimits } from "../../conf/client-config.ts";
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
  #closed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#at = Math.floor(options.random.next() * options.endpoints.length);
  }

  get endpointCount(): number {
    return this.#options.endpoints.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The connection to use now; the caller waits until it is settled. */
  current(): Connection {
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
      if (connection !== this.#current) return;
      this.#tell({ kind: "disconnected", endpoint, reason: "the connection broke", retryInMs: 0 });
    });
  }

  /** `connection` does not serve: it is closed, and the next endpoint is the current one. */
  failed(connection: Connection, failure: { readonly reason: string; readonly retryInMs: number }): void {
    // Others that used the same connection have moved on already.
    if (connection !== this.#current) return;
    this.#current = undefined;
    this.#at = (this.#at + 1) % this.endpointCount;
    connection.close();
    this.#tell({ kind: "disconnected", endpoint: connection.endpoint.text, ...failure });
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
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
