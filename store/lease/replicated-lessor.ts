import { invariant } from "../../base/invariant.ts";
import { sortInSteps } from "../../base/sort-in-steps.ts";
import { runAtOnce } from "../../base/steps.ts";
import { compareLatin1 } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { visitBucket } from "../backend/visit-bucket.ts";
import type { LeaseBindings } from "../mvcc/types.ts";
import { StoreError } from "../proto/errors.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { decodeLease, encodeLease, encodeLeaseKey } from "./lease-record.ts";
import type { Lease, Lessor } from "./types.ts";

/** etcd lessor.go MaxLeaseTTL, in seconds. */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** An expired lease whose revocation did not come about is told again after this (etcd lessor.go, 3 s). */
export const EXPIRED_RETRY_MS = 3000;
/** The heap is built anew when renewals have left it this many times as long as there are leases. */
const STALE_DEADLINES_FACTOR = 8;
const STALE_DEADLINES_MIN = 1024;

const NO_LEASE = 0n;

class LeaseState implements Lease {
  readonly id: bigint;
  readonly grantedTtlSeconds: number;
  readonly keys = new Set<string>();
  /** From the last checkpoint; 0: the full TTL. */
  remainingSeconds: number;
  /** On the leader's monotonic clock; undefined while this member does not lead. */
  deadlineMs: number | undefined;
  /** The deadline that the heap holds for it; another one there is stale. */
  queuedMs: number | undefined;

  constructor(id: bigint, grantedTtlSeconds: number, remainingSeconds: number) {
    this.id = id;
    this.grantedTtlSeconds = grantedTtlSeconds;
    this.remainingSeconds = remainingSeconds;
  }
}

/**
 * The leases of one member (etcd lease/lessor.go). `grant`, `beginRevoke`, `endRevoke`, `checkpoint`, `attach` and `detach`
 * are called by apply, in the order of the log; the rest, which looks at the clock, is the leader's own.
 */
export class ReplicatedLessor implements Lessor, LeaseBindings {
  readonly #backend: Backend;
  readonly #minTtlSeconds: number;
  #leases = new Map<bigint, LeaseState>();
  #leaseOfKey = new Map<string, bigint>();
  readonly #deadlines = new DeadlineHeap();
  /** Granted since the clock was last told: their deadlines begin with the next call that tells it. */
  readonly #undated = new Set<LeaseState>();
  #isPrimary = false;

  /** Reads the leases back from the backend; keys are attached by who knows them (MVCC). */
  constructor(backend: Backend, options: { readonly minTtlSeconds: number }) {
    this.#backend = backend;
    this.#minTtlSeconds = options.minTtlSeconds;
    runAtOnce(this.reload());
  }

  /**
   * Reads the leases anew from a backend whose content was replaced, in steps. This member does not lead then: there is no
   * deadline, and keys are attached after it, as at the start.
   */
  *reload(): Generator<undefined, void> {
    this.demote();
    const leases = new Map<bigint, LeaseState>();
    yield* visitBucket(this.#backend, "lease", ({ value }) => {
      const { id, ttlSeconds, remainingSeconds } = decodeLease(value);
      leases.set(id, new LeaseState(id, Math.max(ttlSeconds, this.#minTtlSeconds), remainingSeconds));
    });
    this.#leases = leases;
    this.#leaseOfKey = new Map();
  }

  /** Adds a lease, its TTL raised to the lowest one; throws LeaseNotFound for id 0, LeaseExist, LeaseTTLTooLarge. */
  grant(id: bigint, ttlSeconds: number): Lease {
    if (id === NO_LEASE) throw new StoreError("LeaseNotFound");
    if (ttlSeconds > LEASE_TTL_SECONDS_MAX) throw new StoreError("LeaseTTLTooLarge");
    if (this.#leases.has(id)) throw new StoreError("LeaseExist");
    const lease = new LeaseState(id, Math.max(ttlSeconds, this.#minTtlSeconds), 0);
    this.#leases.set(id, lease);
    this.#persist(lease);
    if (this.#isPrimary) this.#undated.add(lease);
    return lease;
  }

  /**
   * The keys that the revocation of a lease deletes, in key order, in steps; throws LeaseNotFound. They stay attached:
   * deleting a key detaches it.
   */
  beginRevoke(id: bigint): Generator<undefined, readonly string[]> {
    return sortInSteps([...this.#find(id).keys], compareLatin1);
  }

  /** Takes the lease away, after its keys are deleted. */
  endRevoke(id: bigint): void {
    const lease = this.#find(id);
    invariant(lease.keys.size === 0, "a revoked lease has no key left");
    this.#leases.delete(id);
    this.#undated.delete(lease);
    this.#backend.delete("lease", encodeLeaseKey(id));
  }

  /** Notes what remained of a TTL, for the next leader (etcd LeaseCheckpoint); an unknown id is passed over. */
  checkpoint(id: bigint, remainingSeconds: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    lease.remainingSeconds = remainingSeconds;
    this.#persist(lease);
  }

  leaseOf(key: string): bigint {
    return this.#leaseOfKey.get(key) ?? NO_LEASE;
  }

  attach(id: bigint, key: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) invariant(false, `key is attached to lease ${id}, which exists`);
    lease.keys.add(key);
    this.#leaseOfKey.set(key, id);
  }

  detach(id: bigint, key: string): void {
    this.#leases.get(id)?.keys.delete(key);
    this.#leaseOfKey.delete(key);
  }

  promote(nowMs: number): void {
    this.demote();
    this.#isPrimary = true;
    for (const lease of this.#leases.values()) {
      const seconds = lease.remainingSeconds > 0 ? lease.remainingSeconds : lease.grantedTtlSeconds;
      this.#setDeadline(lease, nowMs + seconds * 1000);
    }
  }

  demote(): void {
    this.#isPrimary = false;
    this.#deadlines.clear();
    this.#undated.clear();
    for (const lease of this.#leases.values()) {
      lease.deadlineMs = undefined;
      lease.queuedMs = undefined;
    }
  }

  renew(id: bigint, nowMs: number): number {
    const lease = this.#findAsPrimary(id, nowMs);
    this.#setDeadline(lease, nowMs + lease.grantedTtlSeconds * 1000);
    return lease.grantedTtlSeconds;
  }

  remainingSeconds(id: bigint, nowMs: number): number {
    const lease = this.#findAsPrimary(id, nowMs);
    return Math.floor(((lease.deadlineMs as number) - nowMs) / 1000);
  }

  lookup(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  all(): Iterable<Lease> {
    return [...this.#leases.values()].sort((a, b) => deadlineOf(a) - deadlineOf(b) || (a.id < b.id ? -1 : 1));
  }

  expired(nowMs: number, limit: number): readonly bigint[] {
    this.#dateGranted(nowMs);
    const ids: bigint[] = [];
    while (ids.length < limit) {
      const first = this.#deadlines.peek();
      if (first === undefined || first.atMs > nowMs) break;
      this.#deadlines.pop();
      const lease = this.#leases.get(first.id);
      if (lease === undefined || lease.queuedMs !== first.atMs) continue;
      ids.push(lease.id);
      this.#queue(lease, nowMs + EXPIRED_RETRY_MS);
    }
    return ids;
  }

  nextDeadlineMs(): number | undefined {
    if (this.#undated.size > 0) return 0;
    for (let first = this.#deadlines.peek(); first !== undefined; first = this.#deadlines.peek()) {
      if (this.#leases.get(first.id)?.queuedMs === first.atMs) return first.atMs;
      this.#deadlines.pop();
    }
    return undefined;
  }

  #find(id: bigint): LeaseState {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw new StoreError("LeaseNotFound");
    return lease;
  }

  /** An expired lease may be on its way through the log to be revoked: it counts as gone. */
  #findAsPrimary(id: bigint, nowMs: number): LeaseState {
    if (!this.#isPrimary) throw new StoreError("NotLeader");
    this.#dateGranted(nowMs);
    const lease = this.#find(id);
    if (lease.deadlineMs === undefined || lease.deadlineMs <= nowMs) throw new StoreError("LeaseNotFound");
    return lease;
  }

  /** Apply knows no clock: a lease that it granted lives from the first moment after that the leader tells the time. */
  #dateGranted(nowMs: number): void {
    for (const lease of this.#undated) this.#setDeadline(lease, nowMs + lease.grantedTtlSeconds * 1000);
    this.#undated.clear();
  }

  #setDeadline(lease: LeaseState, deadlineMs: number): void {
    this.#undated.delete(lease);
    lease.deadlineMs = deadlineMs;
    this.#queue(lease, deadlineMs);
  }

  #queue(lease: LeaseState, atMs: number): void {
    lease.queuedMs = atMs;
    this.#deadlines.push(lease.id, atMs);
    if (this.#deadlines.size <= STALE_DEADLINES_MIN + STALE_DEADLINES_FACTOR * this.#leases.size) return;
    this.#deadlines.clear();
    for (const { id, queuedMs } of this.#leases.values()) {
      if (queuedMs !== undefined) this.#deadlines.push(id, queuedMs);
    }
  }

  #persist(lease: LeaseState): void {
    const { id, grantedTtlSeconds, remainingSeconds } = lease;
    const record = encodeLease({ id, ttlSeconds: grantedTtlSeconds, remainingSeconds });
    this.#backend.put("lease", encodeLeaseKey(id), record);
  }
}

/** Orders leases by what is left of them; those without a deadline have most. */
function deadlineOf(lease: LeaseState): number {
  return lease.deadlineMs ?? Number.MAX_VALUE;
}
