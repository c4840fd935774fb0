import type { Clock } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Lessor } from "../lease/types.ts";
import { StoreError } from "../proto/errors.ts";
import { LeaseRevokeRequest } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import type { Proposals } from "./proposals.ts";

/** How often deadlines are looked at, and at most how many leases are revoked then (etcd lessor: 500 ms, 1000 a second). */
const TICK_MS = 500;
const REVOKE_MAX = 500;

export interface LeaseExpiryOptions {
  readonly replica: Replica;
  readonly lessor: Lessor;
  readonly proposals: Proposals;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told when this member sees another leader than before. */
  readonly onLeaderChanged?: () => void;
}

/**
 * Keeps lease time for this member until the signal aborts: starts deadlines when it becomes leader, stops them when it no
 * longer is, and proposes the revocation of leases whose deadline has passed. A revocation that fails is proposed again
 * at a later tick, because the lease stays expired.
 */
export async function runLeaseExpiry(
  options: LeaseExpiryOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { signal, clock } = options;
  const revoking = new Set<bigint>();
  let leaderTerm: number | undefined;
  let leader = 0n;
  while (!signal.aborted) {
    if (options.replica.status.leader !== leader) options.onLeaderChanged?.();
    leader = options.replica.status.leader;
    leaderTerm = followLeadership(options, leaderTerm);
    if (leaderTerm !== undefined) revokeExpired(options, revoking);
    await clock.sleep(TICK_MS, { signal }).catch(() => undefined);
  }
}

/** The term in which this member leads, as far as the lessor has been told; undefined while it does not. */
function followLeadership(
  { replica, lessor, clock }: LeaseExpiryOptions,
  knownTerm: number | undefined,
): number | undefined {
  const { role, term } = replica.status;
  if (role !== "leader") {
    if (knownTerm !== undefined) lessor.demote();
    return undefined;
  }
  if (knownTerm !== term) lessor.promote(clock.monotonicMs());
  return term;
}

function revokeExpired(
  { lessor, clock, proposals, logger, signal }: LeaseExpiryOptions & { readonly signal: AbortSignal },
  revoking: Set<bigint>,
): void {
  for (const id of lessor.expired(clock.monotonicMs(), REVOKE_MAX)) {
    if (revoking.has(id)) continue;
    revoking.add(id);
    const request = LeaseRevokeRequest.encode({ ID: id }).finish();
    proposals
      .propose("leaseRevoke", request, { signal })
      .catch((error: unknown) => {
        if (signal.aborted || isGone(error)) return;
        logger.warn(
          { leaseId: id.toString(16), reason: errorMessage(error) },
          "failed to revoke lease, will retry",
        );
      })
      .finally(() => revoking.delete(id));
  }
}

/** Somebody else revoked it first: what was wanted. */
function isGone(error: unknown): boolean {
  return error instanceof StoreError && error.code === "LeaseNotFound";
}
