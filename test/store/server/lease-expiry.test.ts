import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { MemBackend } from "../../../store/backend/mem-backend.ts";
import { ReplicatedLessor } from "../../../store/lease/replicated-lessor.ts";
import { StoreError } from "../../../store/proto/errors.ts";
import { LeaseRevokeRequest } from "../../../store/proto/gen/rpc.ts";
import type { RaftStatus, SoftState } from "../../../store/raft/types.ts";
import { LeaseExpiry } from "../../../store/server/lease-expiry.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

const PAUSE_MS = 1_000;

/** A member with real leases, whose place in the cluster the test decides. */
class ExpiryBed {
  readonly clock = new SettlingClock();
  readonly lessor = new ReplicatedLessor(new MemBackend(), { minTtlSeconds: 1 });
  readonly proposed: { readonly id: bigint; readonly leaderTerm: number | undefined }[] = [];
  readonly #listeners = new Set<(state: SoftState) => void>();
  #role: RaftStatus["role"] = "follower";
  #term = 1;
  /** Resolves when a quorum says that this member leads. */
  confirm: () => Promise<void> = () => Promise.resolve();
  propose: (id: bigint) => Promise<void> = () => Promise.resolve();
  readonly expiry: LeaseExpiry;

  constructor() {
    const self = this;
    this.expiry = new LeaseExpiry({
      replica: {
        get status() {
          return self.status;
        },
        onLeadership: (listener) => {
          this.#listeners.add(listener);
          return () => void this.#listeners.delete(listener);
        },
        readIndex: () => this.confirm(),
      },
      lessor: this.lessor,
      proposals: {
        propose: async (kind, bytes, { leaderTerm }) => {
          assert.equal(kind, "leaseRevoke");
          const { ID } = LeaseRevokeRequest.decode(bytes);
          this.proposed.push({ id: ID, leaderTerm });
          await this.propose(ID);
          return { kind: "done", revision: 1, response: Buffer.alloc(0) };
        },
      },
      clock: this.clock,
      logger: pino({ level: "silent" }),
      pauseMs: PAUSE_MS,
    });
  }

  get status(): RaftStatus {
    return {
      id: 1n,
      role: this.#role,
      term: this.#term,
      leader: this.#role === "leader" ? 1n : 2n,
      vote: 0n,
      commit: 1,
      applied: 1,
      lastIndex: 1,
      isLearner: false,
      transferee: 0n,
    };
  }

  become(role: RaftStatus["role"], term: number): void {
    this.#role = role;
    this.#term = term;
    for (const listener of this.#listeners) listener(this.status);
  }

  /** A TTL in seconds. */
  grant(id: bigint, ttl: number): void {
    this.lessor.grant(id, ttl);
  }
}

test("LeaseExpiry revokes what expires, in its leader's term, from the moment it is told that it leads", async () => {
  const bed = new ExpiryBed();
  await using expiry = bed.expiry;
  bed.grant(7n, 5);
  await bed.clock.advance(60_000);
  assert.deepEqual(bed.proposed, []);
  bed.become("leader", 3);
  await bed.clock.advance(4_900);
  assert.deepEqual(bed.proposed, []);
  await bed.clock.advance(700);
  assert.deepEqual(bed.proposed, [{ id: 7n, leaderTerm: 3 }]);
  await expiry.close();
});

test("LeaseExpiry starts every deadline anew when the same member is elected again", async () => {
  const bed = new ExpiryBed();
  await using _ = bed.expiry;
  bed.grant(7n, 5);
  bed.become("leader", 3);
  await bed.clock.advance(4_000);
  bed.become("follower", 4);
  await bed.clock.advance(100);
  bed.become("leader", 5);
  await bed.clock.advance(4_900);
  assert.deepEqual(bed.proposed, []);
  await bed.clock.advance(700);
  assert.deepEqual(bed.proposed, [{ id: 7n, leaderTerm: 5 }]);
});

test("LeaseExpiry revokes nothing while no quorum confirms that this member leads, nor when that comes too late", async () => {
  const bed = new ExpiryBed();
  await using _ = bed.expiry;
  const confirmed = Promise.withResolvers<void>();
  bed.confirm = () => confirmed.promise;
  bed.grant(7n, 5);
  bed.become("leader", 3);
  await bed.clock.advance(10_000);
  assert.deepEqual(bed.proposed, []);
  // Replaced, and elected again: the answer is of another reign.
  bed.become("follower", 4);
  bed.become("leader", 5);
  confirmed.resolve();
  await bed.clock.advance(4_000);
  assert.deepEqual(bed.proposed, []);
});

test("LeaseExpiry asks again when it is not confirmed, and revokes again what failed", async () => {
  const bed = new ExpiryBed();
  await using _ = bed.expiry;
  let asked = 0;
  bed.confirm = async () => {
    asked += 1;
    if (asked === 1) throw new StoreError("Timeout");
  };
  bed.propose = async () => {
    if (bed.proposed.length === 1) throw new StoreError("NotLeader");
  };
  bed.grant(7n, 5);
  bed.become("leader", 3);
  await bed.clock.advance(20_000);
  assert.ok(bed.proposed.length >= 2, `proposed ${bed.proposed.length} times`);
});

test("LeaseExpiry extends every lease when the process stood still: renewals of that time were not heard", async () => {
  const bed = new ExpiryBed();
  await using _ = bed.expiry;
  bed.grant(7n, 5);
  bed.become("leader", 3);
  await bed.clock.advance(1_000);
  bed.clock.jump(30_000);
  await bed.clock.advance(4_500);
  assert.deepEqual(bed.proposed, []);
  await bed.clock.advance(1_500);
  assert.deepEqual(bed.proposed, [{ id: 7n, leaderTerm: 3 }]);
});
