import type { Clock } from "../../base/clock.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import { StoreError } from "../proto/errors.ts";
import type { AskLeader } from "./ask-leader.ts";
import { decodeLeaseSeconds, encodeLeaseSeconds, LEASE_EXPIRING } from "./leases-at-leader.ts";
import { RENEW_CALL } from "./peer-calls.ts";

/** Leases in one question: a question between members has 16 KiB at most. */
const BATCH_MAX = 1_000;
/** Until it is looked again whether a lease that expires is gone. */
const EXPIRING_RETRY_MS = 100;

interface Waiting {
  readonly id: bigint;
  readonly sinceMs: number;
  readonly resolve: (ttlSeconds: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Renewals of one member's clients on their way to the leader: one question at a time, with all leases that came meanwhile.
 * A fleet whose agents are at a follower costs two members a connection now and then, not one for each renewal.
 */
export class LeaseRenewals {
  readonly #askLeader: AskLeader;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #stopping = new AbortController();
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  /** `timeoutMs`: how long a lease that expires may take to be gone. */
  constructor(options: {
    readonly askLeader: AskLeader;
    readonly clock: Clock;
    readonly timeoutMs: number;
  }) {
    this.#askLeader = options.askLeader;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
  }

  /** The TTL in seconds from now on; 0: the lease is gone. Rejects like {@link AskLeader}. */
  renew(id: bigint, options: { readonly signal: AbortSignal }): Promise<number> {
    if (this.#stopping.signal.aborted) return Promise.reject(new StoreError("Stopped"));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#add({ id, sinceMs: this.#clock.monotonicMs(), resolve, reject });
    return untilAborted(promise, options);
  }

  /** Rejects what waits. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort(new StoreError("Stopped"));
    await this.#running;
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Those of the same turn go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        this.#settle(batch, await this.#ask(batch));
      } catch (error) {
        // Whoever came meanwhile has not waited as long, and would learn the same: there is nobody to ask.
        for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #ask(batch: readonly Waiting[]): Promise<ReadonlyMap<bigint, number>> {
    const body = encodeLeaseSeconds(new Map(batch.map(({ id }) => [id, 0])));
    return decodeLeaseSeconds(await this.#askLeader({ method: RENEW_CALL, body }, this.#stopping));
  }

  #settle(batch: readonly Waiting[], seconds: ReadonlyMap<bigint, number>): void {
    for (const waiting of batch) {
      const ttl = seconds.get(waiting.id);
      if (ttl === undefined) waiting.reject(new StoreError("Timeout"));
      else if (ttl === LEASE_EXPIRING) void this.#askLater(waiting);
      else waiting.resolve(ttl);
    }
  }

  /** "Gone" is said only of what is gone: a client forgets the lease then (etcd lessor.go Renew). */
  async #askLater(waiting: Waiting): Promise<void> {
    try {
      await this.#clock.sleep(EXPIRING_RETRY_MS, this.#stopping);
      if (this.#clock.monotonicMs() - waiting.sinceMs > this.#timeoutMs) throw new StoreError("Timeout");
      this.#add(waiting);
    } catch (error) {
      waiting.reject(error);
    }
  }
}
