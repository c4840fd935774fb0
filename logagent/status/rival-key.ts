import type { Clock } from "../../base/clock.ts";
import type { AgentStatus } from "../../conf/agent-status.ts";
import type { StoreClient } from "../../store/client/client.ts";
import { encodeStatus } from "./build-status.ts";

/** An agent that lacks its identity's key refreshes what it says of itself this often: it is seldom, and lasts until a person acts. */
const REFRESH_MS = 60_000;

/**
 * The key `<status key>/<instance id>`, under which an agent shows itself while another one holds the status key of their
 * identity. It is under the agent's lease, and gone when the agent is.
 */
export class RivalKey {
  readonly #client: Pick<StoreClient, "txn">;
  readonly #statusKey: string;
  readonly #clock: Clock;
  #written: { readonly key: string; readonly lease: bigint; readonly atMs: number } | undefined;

  constructor(options: {
    readonly client: Pick<StoreClient, "txn">;
    readonly statusKey: string;
    readonly clock: Clock;
  }) {
    this.#client = options.client;
    this.#statusKey = options.statusKey;
    this.#clock = options.clock;
  }

  /** Writes the status, as it is then, if it is not there or old. Throws what the client throws. */
  async show(build: () => AgentStatus, options: { readonly lease: bigint; readonly signal: AbortSignal }) {
    const { lease, signal } = options;
    const atMs = this.#clock.monotonicMs();
    const isThere = this.#written?.lease === lease && atMs - this.#written.atMs < REFRESH_MS;
    if (isThere) return;
    const status = build();
    if (status.instance === undefined) return;
    const key = `${this.#statusKey}/${status.instance.id}`;
    const value = encodeStatus(status);
    await this.#client.txn({ success: [{ kind: "put", key, value, lease }] }, { signal });
    this.#written = { key, lease, atMs };
  }

  /** Takes the key away, if there is one. Throws what the client throws. */
  async remove(options: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#written === undefined) return;
    const { key } = this.#written;
    await this.#client.txn({ success: [{ kind: "delete", key }] }, options);
    this.#written = undefined;
  }
}
