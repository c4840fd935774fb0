import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { InvariantError } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { AgentStatus } from "../../conf/agent-status.ts";
import type { StoreClient } from "../../store/client/client.ts";
import type { LeaseKeeper } from "../../store/client/lease-keeper.ts";
import { encodeStatus } from "./build-status.ts";
import type { PreviousLease } from "./previous-lease.ts";
import { RivalKey } from "./rival-key.ts";
import { type ClaimResult, claimStatusKey } from "./status-key.ts";
import { WriteBudget } from "./write-budget.ts";

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

/** After a change the tasks need a moment to find their files: the figures are written again when it has settled for so long. */
const SETTLE_MS = 1_000;
/** Figures that changed are written this often at most, and never by the whole fleet at once. */
const FIGURES_MS = 10_000;
const JITTER = 0.2;
/**
 * How many times in a row figures may follow each other by FIGURES_MS; a change of the config allows as many again. In the
 * long run it is one write each BUDGET_REFILL_MS. The arithmetic, for 10,000 agents with statuses of 1 KB: all of them busy
 * for ever are 10,000 / 60 s = 167 puts a second and 0.6 GB of history an hour, which a store with hourly compaction holds
 * in its quota of 2 GiB; a config for all of them at once is (1 + 1 + 6) x 10,000 / 60 s = 1,333 puts a second for a
 * minute. Every 10 s without an end would be 1,000 a second and 3.6 GB an hour, more than the quota.
 */
const BUDGET_BURST = 6;
const BUDGET_REFILL_MS = 60_000;
/** Figures at which nothing changed are confirmed this often: 10,000 agents are 17 puts a second. */
const CONFIRM_MS = 600_000;
/** A flag that comes and goes costs no more than a write in this time. */
const FLAGS_MS = 10_000;
/** How often it looks for changes that nobody tells it of. */
const LOOK_MS = 5_000;
/** Between two tries while another agent holds the key, or the store refuses. */
const RETRY_MS = 5_000;

interface Written {
  readonly lease: bigint;
  readonly config: string;
  readonly flags: string;
  /** Everything but the time. */
  readonly figures: string;
  readonly atMs: number;
  /** The next figures, when they have changed. */
  readonly figuresAtMs: number;
}

/**
 * Keeps the status key: written at once when the config changes and again when that has settled, soon when a flag changes,
 * and every ten seconds while figures do, within a budget; always under the lease, so that the key is there for as long as
 * the agent lives. While another agent holds it, this one shows itself in a {@link RivalKey}.
 */
export class StatusWriter {
  readonly #deps: StatusWriterDeps;
  #written: Written | undefined;
  #conflict = false;
  #isDirty = false;
  #previous: bigint | undefined;
  /** What the next life of the agent reads as its previous lease. */
  #noted: bigint | undefined;
  #wake = Promise.withResolvers<void>();
  #troubled = false;
  /** When the last change will have settled; undefined: its figures are written. */
  #settledAtMs: number | undefined;
  readonly #rival: RivalKey;
  readonly #budget = new WriteBudget({ burst: BUDGET_BURST, refillMs: BUDGET_REFILL_MS });

  constructor(deps: StatusWriterDeps) {
    this.#deps = deps;
    this.#rival = new RivalKey({ client: deps.client, statusKey: deps.key, clock: deps.clock });
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
        waitMs = (await this.#writeIfDue(signal)) ? this.#untilNextLookMs() : RETRY_MS;
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
    const { asOf: _, ...figures } = status;
    const next = {
      lease,
      config: JSON.stringify(status.config),
      flags: JSON.stringify(status.flags),
      figures: JSON.stringify(figures),
    };
    const atMs = clock.monotonicMs();
    const isNews = this.#isNews(next, atMs);
    if (!isNews && !this.#areFiguresDue(next.figures, atMs)) return true;
    if (next.config !== this.#written?.config) this.#budget.fill();
    if (!(await this.#write(encodeStatus(status), lease, signal))) return false;
    if (isNews) this.#settledAtMs = atMs + SETTLE_MS;
    const figuresAtMs = atMs + FIGURES_MS * (1 + JITTER * random.next());
    this.#written = { ...next, atMs, figuresAtMs };
    return true;
  }

  #areFiguresDue(figures: string, atMs: number): boolean {
    const written = this.#written;
    if (written === undefined || atMs >= written.atMs + CONFIRM_MS) return true;
    const hasSettled = this.#untilSettledMs() <= 0;
    if (hasSettled) this.#settledAtMs = undefined;
    if (figures === written.figures) return false;
    return hasSettled || (atMs >= written.figuresAtMs && this.#budget.tryTake(atMs));
  }

  /** A write that took long may end when what it told of has settled already. */
  #untilNextLookMs(): number {
    return Math.max(0, Math.min(LOOK_MS, this.#untilSettledMs()));
  }

  #untilSettledMs(): number {
    return (this.#settledAtMs ?? Number.POSITIVE_INFINITY) - this.#deps.clock.monotonicMs();
  }

  #isNews(next: Pick<Written, "lease" | "config" | "flags">, atMs: number): boolean {
    const written = this.#written;
    if (written === undefined || next.lease !== written.lease || next.config !== written.config) return true;
    return next.flags !== written.flags && atMs - written.atMs >= FLAGS_MS;
  }

  async #write(value: Buffer, lease: bigint, signal: AbortSignal): Promise<boolean> {
    const { client, key, previousLease, build } = this.#deps;
    if (lease !== this.#noted) await previousLease.write(lease);
    this.#noted = lease;
    const previous = this.#written?.lease ?? this.#previous;
    const result = await claimStatusKey(client, { key, value, lease, previous, signal });
    this.#noteConflict(result);
    this.#troubled = false;
    if (result.kind === "written") await this.#rival.remove({ signal });
    else await this.#rival.show(build, { lease, signal });
    return result.kind === "written";
  }

  #noteConflict(result: ClaimResult): void {
    const { key, log } = this.#deps;
    const isTaken = result.kind === "taken";
    if (isTaken && !this.#conflict) {
      const otherLease = result.lease.toString(16);
      const message = "another agent has the same identity, set ip: on one of them";
      log.error({ key, otherLease, otherInstance: result.holder }, message);
    }
    if (!isTaken && this.#conflict) log.info({ key }, "the identity is this agent's alone again");
    this.#conflict = isTaken;
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
    const ended = AbortSignal.any([signal, over.signal]);
    const slept = sleepUnlessAborted(this.#deps.clock, ms, { signal: ended });
    await Promise.race([slept, this.#wake.promise]);
    over.abort();
  }
}
