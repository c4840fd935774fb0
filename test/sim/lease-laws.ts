import { Violation } from "../support/violation.ts";

/** A process may think it later than it is by this, where looking at the clock takes time: what it does in one turn. */
const READINGS_MS = 200;

interface LeasePromise {
  /** Until when a client may rely on it. */
  untilMs: number;
  /** Somebody asked for its end. */
  isRevoked: boolean;
  /** When the first member applied its end. */
  endedMs: number | undefined;
}

/** Leases end no sooner than their clients were promised, whoever leads. */
export class LeaseLaws {
  readonly #leases = new Map<bigint, LeasePromise>();
  /** How fast the fastest clock runs. */
  readonly #rateMax: number;

  constructor(options: { readonly rateMax: number }) {
    this.#rateMax = options.rateMax;
  }

  /** A client is told that a lease, which it asked for (or to renew) at `askedMs`, lives for a TTL. */
  promised(id: bigint, askedMs: number, ttlSeconds: number): void {
    const lease = this.#leases.get(id) ?? { untilMs: 0, isRevoked: false, endedMs: undefined };
    this.#leases.set(id, lease);
    lease.untilMs = Math.max(lease.untilMs, askedMs + (ttlSeconds * 1000) / this.#rateMax - READINGS_MS);
    assertKept(id, lease);
  }

  /** A client asks for its end. */
  revoking(id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.isRevoked = true;
  }

  /** A member has applied its end. */
  ended(id: bigint, atMs: number): void {
    const lease = this.#leases.get(id) ?? { untilMs: 0, isRevoked: false, endedMs: undefined };
    this.#leases.set(id, lease);
    lease.endedMs ??= atMs;
    assertKept(id, lease);
  }

  /** Promised leases that have not ended. */
  get open(): number {
    return [...this.#leases.values()].filter(({ endedMs }) => endedMs === undefined).length;
  }
}

function assertKept(id: bigint, { untilMs, isRevoked, endedMs }: LeasePromise): void {
  if (isRevoked || endedMs === undefined || endedMs >= untilMs) return;
  throw new Violation(
    "lease",
    `lease ${id.toString(16)} ended at ${(endedMs / 1000).toFixed(3)} s, it was promised until ${(untilMs / 1000).toFixed(3)} s`,
  );
}
