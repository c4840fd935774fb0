import type { Clock } from "../../base/clock.ts";
import type { Lessor } from "../lease/types.ts";
import { StoreError } from "../proto/errors.ts";
import { LeaseCheckpointRequest } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import { confirmedTerm } from "./confirmed-term.ts";

/** A renewal's result, beside the TTL in seconds. */
export const LEASE_GONE = 0;
/** Its deadline has passed, and its revocation is on its way; a new leader may yet let it live. */
export const LEASE_EXPIRING = -1;

export interface LeasesAtLeaderOptions {
  readonly replica: Pick<Replica, "status" | "readIndex">;
  readonly lessor: Pick<Lessor, "lookup" | "renew" | "remainingSeconds">;
  readonly clock: Clock;
}

/** What only the leader knows of leases. All of it throws StoreError NotLeader at a member that does not lead. */
export class LeasesAtLeader {
  readonly #options: LeasesAtLeaderOptions;

  constructor(options: LeasesAtLeaderOptions) {
    this.#options = options;
  }

  /** The TTL of each, in seconds, from now on; {@link LEASE_GONE}, {@link LEASE_EXPIRING}. */
  async renew(
    ids: readonly bigint[],
    options: { readonly signal: AbortSignal },
  ): Promise<ReadonlyMap<bigint, number>> {
    const { replica, lessor, clock } = this.#options;
    await confirmedTerm(replica, options);
    const nowMs = clock.monotonicMs();
    return new Map(
      ids.map((id) => {
        const ttl = unlessNotFound(() => lessor.renew(id, nowMs));
        return [id, ttl ?? (lessor.lookup(id) === undefined ? LEASE_GONE : LEASE_EXPIRING)];
      }),
    );
  }

  /** Seconds left; -1 when it is gone, or its time has run out. */
  async remainingSeconds(id: bigint, options: { readonly signal: AbortSignal }): Promise<number> {
    const { replica, lessor, clock } = this.#options;
    await confirmedTerm(replica, options);
    return unlessNotFound(() => lessor.remainingSeconds(id, clock.monotonicMs())) ?? -1;
  }
}

function unlessNotFound(read: () => number): number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StoreError && error.code === "LeaseNotFound") return undefined;
    throw error;
  }
}

/** Leases and seconds, between members: a question has no seconds. */
export function encodeLeaseSeconds(leases: ReadonlyMap<bigint, number>): Buffer {
  const checkpoints = Array.from(leases, ([ID, remainingTTL]) => ({ ID, remainingTTL }));
  return LeaseCheckpointRequest.encode({ checkpoints }).finish();
}

export function decodeLeaseSeconds(bytes: Uint8Array): ReadonlyMap<bigint, number> {
  const { checkpoints } = LeaseCheckpointRequest.decode(bytes);
  return new Map(checkpoints.map(({ ID, remainingTTL }) => [ID, remainingTTL]));
}
