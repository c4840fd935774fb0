import type { Clock } from "../../base/clock.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { InvariantError } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { AgentStatus } from "../../conf/agent-status.ts";
import type { StoreClient } from "../../store/client/client.ts";
import type { LeaseKeeper } from "../../store/client/lease-keeper.ts";
import { encodeStatus } from "./build-status.ts";
import type { PreviousLease } from "./previous-lease.ts";
import { claimStatusKey } from "./status-key.ts";

export interface StatusWriterDeps {
  readonly client: Pick<StoreClient, "txn">;
  readonly lease: Pick<LeaseKeeper, "held" | "id" | "reportLost">;
  readonly previousLease: Pick<PreviousLease, "read" | "write">;
  readonly key: string;
  readonly build: () => AgentStatus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Figures are refreshed this often at most, and never by the whole fleet at once. */
const REFRESH_MS = 60_000;
const JITTER = 0.2;
/** A flag that comes and goes costs no more than a write in this time. */
const FLAGS_MS = 10_000;
/** How often it looks for changes that nobody tells it of. */
const LOOK_MS = 5_000;
/** Between two tries while another agent holds the key, or the store refuses. */
const RETRY_MS = 5_000;

interface Written {
  readonly lease: bigint;
  readonly value: Buffer;
  readonly config: string;
  readonly flags: string;
  readonly atMs: number;
  readonly refreshAtMs: number;
}

/**
 * Keeps the status key: written at once when the config changes, soon when a flag does, and once a minute otherwise;
 * always under the lease, so that the key is there for as long as the agent lives.
 */
export class StatusWriter {
  readonly #deps: StatusWriterDeps;
  #written: Written | undefined;
  #conflict = false;
  #isDirty = false;
  #previous: bigint | undefined;
  #wake = Promise.withResolvers<void>();
  #troubled = false;

  constructor(deps: StatusWriterDeps) {
    this.#deps = deps;
  }

  /** Another agent holds the key of our identity. */
  get hasConflict(): boolean {
    return this.#conflict;
  }

  /** The config or the lease changed: looks at once. */
  changed(): void {
    this.#isDirty = true;
    this.#wake.resolve();
  }

  /** Works until the signal is aborted, then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    this.#previous = await this.#deps.previousLease.read();
    while (!signal.aborted) {
      let waitMs = LOOK_MS;
      try {
        if (!(await this.#writeIfDue(signal))) waitMs = RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof InvariantError) throw error;
        this.#trouble(error);
        waitMs = RETRY_MS;
      }
      await this.#pause(waitMs, signal);
    }
  }

  /** False when another agent holds the key. */
  async #writeIfDue(signal: AbortSignal): Promise<boolean> {
    const { build, clock, random } = this.#deps;
    this.#isDirty = false;
    const lease = await this.#deps.lease.held({ signal });
    const status = build();
    const next = { lease, config: JSON.stringify(status.config), flags: JSON.stringify(status.flags) };
    const atMs = clock.monotonicMs();
    const isNews = this.#isNews(next, atMs);
    if (!isNews && atMs < (this.#written?.refreshAtMs ?? 0)) return true;
    const value = encodeStatus(status);
    const isSame = !isNews && this.#written?.value.equals(value) === true;
    if (!isSame && !(await this.#write(value, lease, signal))) return false;
    this.#written = { ...next, value, atMs, refreshAtMs: atMs + REFRESH_MS * (1 + JITTER * random.next()) };
    return true;
  }

  #isNews(next: Pick<Written, "lease" | "config" | "flags">, atMs: number): boolean {
    const written = this.#written;
    if (written === undefined || next.lease !== written.lease || next.config !== written.config) return true;
    return next.flags !== written.flags && atMs - written.atMs >= FLAGS_MS;
  }

  async #write(value: Buffer, lease: bigint, signal: AbortSignal): Promise<boolean> {
    const { client, key, previousLease, log } = this.#deps;
    if (lease !== this.#written?.lease) await previousLease.write(lease);
    const previous = this.#written?.lease ?? this.#previous;
    const result = await claimStatusKey(client, { key, value, lease, previous, signal });
    const isTaken = result.kind === "taken";
    if (isTaken && !this.#conflict) {
      const otherLease = result.lease.toString(16);
      log.error({ key, otherLease }, "another agent has the same identity, set ip: on one of them");
    }
    if (!isTaken && this.#conflict) log.info({ key }, "the identity is this agent's alone again");
    this.#conflict = isTaken;
    this.#troubled = false;
    return !isTaken;
  }

  #trouble(error: unknown): void {
    const { lease, log } = this.#deps;
    if (errorCode(error) === "LeaseNotFound" && lease.id !== undefined) lease.reportLost(lease.id);
    if (!this.#troubled) log.warn({ reason: errorMessage(error) }, "status not written, trying again");
    this.#troubled = true;
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isDirty) return;
    const over = new AbortController();
    this.#wake = Promise.withResolvers<void>();
    const slept = this.#deps.clock
      .sleep(ms, { signal: AbortSignal.any([signal, over.signal]) })
      .catch(() => undefined);
    await Promise.race([slept, this.#wake.promise]);
    over.abort();
  }
}
