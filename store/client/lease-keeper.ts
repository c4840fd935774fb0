import { backoffMs } from "../../base/backoff.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import { type Random, systemRandom } from "../../base/random.ts";
import type { StoreClient } from "./client.ts";
import { ClientError } from "./client-error.ts";

/** What becomes of a lease that is kept; each change is told once. */
export type LeaseState =
  | { readonly kind: "held"; readonly id: bigint; readonly ttlSeconds: number }
  /** The keys under it are gone, or going: put them again under the one that is granted next. */
  | { readonly kind: "lost"; readonly id: bigint; readonly reason: string };

export interface LeaseKeeperOptions {
  readonly client: Pick<StoreClient, "leaseGrant" | "leaseKeepAlive" | "leaseRevoke">;
  readonly ttlSeconds: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Nobody waits on it, and it must not throw. */
  readonly onState?: (state: LeaseState) => void;
  /** A grant or a renewal that failed and is tried again. */
  readonly onTrouble?: (message: string) => void;
}

/** Renewals are spread over this part of TTL/3, so that a fleet that started as one does not renew as one. */
const JITTER = 0.2;
/** Between tries while the store does not answer; a renewal also waits no longer than TTL/3. */
const RETRY = { baseMs: 200, maxMs: 10_000 };

/**
 * Holds a lease for as long as it runs: grants one, renews it every TTL/3 at the latest, and when the store says that it is
 * gone, grants another. Only the store decides that: after a long silence the first renewal that gets through tells.
 */
export class LeaseKeeper implements AsyncDisposable {
  readonly #options: LeaseKeeperOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #id: bigint | undefined;
  #granted = pending<bigint>();
  /** Aborted when the lease that is held turns out to be gone. */
  #gone = new AbortController();

  private constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#running = this.#run();
  }

  /** Starts at once; the first grant is under way when it returns. */
  static start(options: LeaseKeeperOptions): LeaseKeeper {
    return new LeaseKeeper(options);
  }

  /** The lease that is held; undefined while there is none. */
  get id(): bigint | undefined {
    return this.#id;
  }

  /** Resolves with the lease, once there is one. Rejects with the signal's reason, or when the keeper was closed. */
  async held(options: { readonly signal: AbortSignal }): Promise<bigint> {
    options.signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(options.signal.reason);
    options.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([this.#granted.promise, promise]);
    } finally {
      options.signal.removeEventListener("abort", onAbort);
    }
  }

  /** The store told somebody else that it does not know lease `id`: another one is granted now. */
  reportLost(id: bigint): void {
    if (id === this.#id) this.#gone.abort();
  }

  /**
   * Stops renewing, and revokes the lease, so that the keys under it are gone at once; without an answer within the
   * signal's time they go when the lease runs out. Idempotent; throws nothing.
   */
  async close(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#stopping.abort(new Error("the lease keeper was closed"));
    await this.#running;
    const id = this.#id;
    this.#id = undefined;
    if (id === undefined || options.signal.aborted) return;
    try {
      await this.#options.client.leaseRevoke(id, options);
    } catch (error) {
      this.#trouble(`Cannot revoke lease ${id.toString(16)}: ${errorMessage(error)}; it runs out by itself`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ signal: AbortSignal.timeout(RETRY.maxMs) });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      while (!signal.aborted) {
        const { id, ttlSeconds } = await this.#grant(signal);
        const reason = await this.#renewUntilGone({ id, ttlSeconds, signal });
        this.#id = undefined;
        this.#granted = pending();
        this.#options.onState?.({ kind: "lost", id, reason });
      }
    } catch (error) {
      this.#granted = pending();
      this.#granted.reject(error);
      if (!signal.aborted) throw error;
    }
  }

  async #grant(signal: AbortSignal): Promise<{ readonly id: bigint; readonly ttlSeconds: number }> {
    const lease = await this.#persist(signal, () =>
      this.#options.client.leaseGrant(this.#options.ttlSeconds, { signal }),
    );
    this.#gone = new AbortController();
    this.#id = lease.id;
    this.#options.onState?.({ kind: "held", id: lease.id, ttlSeconds: lease.ttlSeconds });
    this.#granted.resolve(lease.id);
    return lease;
  }

  /** Returns why the lease is gone. */
  async #renewUntilGone(lease: {
    readonly id: bigint;
    readonly ttlSeconds: number;
    readonly signal: AbortSignal;
  }): Promise<string> {
    const either = AbortSignal.any([lease.signal, this.#gone.signal]);
    try {
      for (;;) {
        const thirdMs = (lease.ttlSeconds * 1000) / 3;
        await this.#clock.sleep(thirdMs * (1 - JITTER * this.#random.next()), { signal: either });
        const answer = await this.#persist(
          either,
          () => this.#options.client.leaseKeepAlive(lease.id, { signal: either }),
          thirdMs,
        );
        if (answer.ttlSeconds <= 0) return "the store has no such lease: it ran out or was revoked";
      }
    } catch (error) {
      if (this.#gone.signal.aborted && !lease.signal.aborted) return "the store has no such lease";
      throw error;
    }
  }

  /** Runs `act` until it succeeds, with waits in between, whatever the store's reason is: a person may mend it meanwhile. */
  async #persist<Result>(
    signal: AbortSignal,
    act: () => Promise<Result>,
    maxMs = RETRY.maxMs,
  ): Promise<Result> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await act();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ClientError)) throw error;
        this.#trouble(error.message);
        const limits = { baseMs: RETRY.baseMs, maxMs: Math.min(RETRY.maxMs, maxMs) };
        await this.#clock.sleep(backoffMs(attempt, limits, this.#random), { signal });
      }
    }
  }

  #trouble(message: string): void {
    this.#options.onTrouble?.(message);
  }
}

/** A promise that nobody may be waiting on when it is rejected. */
function pending<Value>(): PromiseWithResolvers<Value> {
  const resolvers = Promise.withResolvers<Value>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}
