import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Lessor } from "../lease/types.ts";
import { StoreError } from "../proto/errors.ts";
import { LeaseRevokeRequest } from "../proto/gen/rpc.ts";
import { idText } from "../raft/id-text.ts";
import type { SoftState } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";
import { confirmedTerm } from "./confirmed-term.ts";
import type { Proposals } from "./proposals.ts";

/** How often deadlines are looked at, and at most how many leases are revoked then (etcd lessor: 500 ms, 1000 a second). */
const TICK_MS = 500;
const REVOKE_MAX = 500;

export interface LeaseExpiryOptions {
  readonly replica: Pick<Replica, "status" | "onLeadership" | "readIndex">;
  readonly lessor: Pick<Lessor, "promote" | "demote" | "expired">;
  readonly proposals: Pick<Proposals, "propose">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** When this process stood still for longer, renewals may have gone unheard: every lease is extended. */
  readonly pauseMs: number;
}

/** From an election until the next change. */
interface Reign {
  readonly term: number;
  readonly ending: AbortController;
}

/**
 * Keeps lease time for this member: starts every deadline anew when it becomes leader, stops them when it no longer is, and
 * has the leases revoked whose deadline has passed. A revocation goes into this leader's own log or nowhere: at a later
 * leader, which has extended the lease, it would come early. One that fails is tried again, because the lease stays expired.
 */
export class LeaseExpiry implements AsyncDisposable {
  readonly #options: LeaseExpiryOptions;
  readonly #revoking = new Set<bigint>();
  readonly #running = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;
  #reign: Reign | undefined;

  constructor(options: LeaseExpiryOptions) {
    this.#options = options;
    this.#unsubscribe = options.replica.onLeadership((state) => this.#follow(state));
    this.#follow(options.replica.status);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#reign?.ending.abort();
    await Promise.all(this.#running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #follow({ role, term }: SoftState): void {
    const { lessor, clock } = this.#options;
    const leads = role === "leader";
    if (this.#reign?.term === term && leads) return;
    if (this.#reign !== undefined) {
      this.#reign.ending.abort();
      this.#reign = undefined;
      lessor.demote();
    }
    if (!leads) return;
    const reign = { term, ending: new AbortController() };
    this.#reign = reign;
    lessor.promote(clock.monotonicMs());
    const running = this.#run(reign).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #run({ term, ending: { signal } }: Reign): Promise<void> {
    const { lessor, clock, logger, pauseMs } = this.#options;
    while (!signal.aborted) {
      const beforeMs = clock.monotonicMs();
      await sleepUnlessAborted(clock, TICK_MS, { signal });
      if (signal.aborted) return;
      const nowMs = clock.monotonicMs();
      const lateMs = nowMs - beforeMs - TICK_MS;
      if (lateMs > pauseMs) {
        logger.warn({ lateMs: Math.round(lateMs) }, "the process stood still, leases are extended");
        lessor.promote(nowMs);
      }
      await this.#revokeExpired(term, signal);
    }
  }

  async #revokeExpired(term: number, signal: AbortSignal): Promise<void> {
    const { replica, lessor, clock, logger } = this.#options;
    const ids = lessor.expired(clock.monotonicMs(), REVOKE_MAX);
    if (ids.length === 0) return;
    try {
      if ((await confirmedTerm(replica, { signal })) !== term) return;
    } catch (error) {
      if (signal.aborted) return;
      logger.warn(
        { leases: ids.length, reason: errorMessage(error) },
        "leases have expired, and it is not confirmed that this member leads, will retry",
      );
      return;
    }
    for (const id of ids) this.#revoke(id, term, signal);
  }

  #revoke(id: bigint, leaderTerm: number, signal: AbortSignal): void {
    if (this.#revoking.has(id)) return;
    this.#revoking.add(id);
    const request = LeaseRevokeRequest.encode({ ID: id }).finish();
    const { proposals, logger } = this.#options;
    proposals
      .propose("leaseRevoke", request, { signal, leaderTerm })
      .catch((error: unknown) => {
        if (signal.aborted || isGone(error)) return;
        logger.warn(
          { leaseId: idText(id), reason: errorMessage(error) },
          "failed to revoke lease, will retry",
        );
      })
      .finally(() => this.#revoking.delete(id));
  }
}

/** Somebody else revoked it first: what was wanted. */
function isGone(error: unknown): boolean {
  return error instanceof StoreError && error.code === "LeaseNotFound";
}
