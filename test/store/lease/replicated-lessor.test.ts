import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { runAtOnce } from "../../../base/steps.ts";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import {
  EXPIRED_RETRY_MS,
  LEASE_TTL_SECONDS_MAX,
  ReplicatedLessor,
} from "../../../store/lease/replicated-lessor.ts";

function makeLessor(backend = new MemBackend()): ReplicatedLessor {
  return new ReplicatedLessor(backend, { minTtlSeconds: 2 });
}

function leader(nowMs = 0): ReplicatedLessor {
  const lessor = makeLessor();
  lessor.promote(nowMs);
  return lessor;
}

it("ReplicatedLessor.grant() refuses id 0, an id that exists and a TTL above the limit", () => {
  const lessor = makeLessor();
  assert.throws(() => lessor.grant(0n, 10), { code: "LeaseNotFound" });
  lessor.grant(1n, 10);
  assert.throws(() => lessor.grant(1n, 10), { code: "LeaseExist" });
  assert.throws(() => lessor.grant(2n, LEASE_TTL_SECONDS_MAX + 1), {
    code: "LeaseTTLTooLarge",
    message: "etcdserver: too large lease TTL",
  });
  lessor.grant(2n, LEASE_TTL_SECONDS_MAX);
});

it("ReplicatedLessor.grant() raises a short TTL to the lowest one", () => {
  const lessor = makeLessor();
  assert.equal(lessor.grant(1n, 0).grantedTtlSeconds, 2);
  assert.equal(lessor.grant(2n, -5).grantedTtlSeconds, 2);
  assert.equal(lessor.grant(3n, 3).grantedTtlSeconds, 3);
});

it("ReplicatedLessor finds its leases again in the backend, negative ids and checkpoints too", async () => {
  const file = new MemFile();
  const first = new MemBackend({ file });
  const lessor = makeLessor(first);
  lessor.grant(-7n, 100);
  lessor.grant(0x7fffffffffffffffn, 50);
  lessor.grant(5n, 60);
  lessor.checkpoint(5n, 20);
  lessor.checkpoint(99n, 20);
  lessor.endRevoke(0x7fffffffffffffffn);
  await first.commit();
  const again = makeLessor(new MemBackend({ file }));
  assert.deepEqual(
    [...again.all()].map(({ id, grantedTtlSeconds }) => [id, grantedTtlSeconds]),
    [
      [-7n, 100],
      [5n, 60],
    ],
  );
  again.promote(0);
  assert.equal(again.remainingSeconds(5n, 0), 20);
  assert.equal(again.remainingSeconds(-7n, 0), 100);
});

it("ReplicatedLessor.beginRevoke() gives the keys in their order, and endRevoke() wants them gone", () => {
  const lessor = makeLessor();
  lessor.grant(1n, 10);
  for (const key of ["b", "\xff", "a", "ab"]) lessor.attach(1n, key);
  assert.deepEqual(runAtOnce(lessor.beginRevoke(1n)), ["a", "ab", "b", "\xff"]);
  assert.throws(() => lessor.endRevoke(1n), /has no key left/);
  for (const key of runAtOnce(lessor.beginRevoke(1n))) lessor.detach(1n, key);
  lessor.endRevoke(1n);
  assert.equal(lessor.lookup(1n), undefined);
  assert.throws(() => runAtOnce(lessor.beginRevoke(1n)), { code: "LeaseNotFound" });
});

it("ReplicatedLessor.leaseOf() follows attach() and detach()", () => {
  const lessor = makeLessor();
  lessor.grant(1n, 10);
  assert.equal(lessor.leaseOf("k"), 0n);
  lessor.attach(1n, "k");
  assert.equal(lessor.leaseOf("k"), 1n);
  assert.deepEqual([...(lessor.lookup(1n)?.keys ?? [])], ["k"]);
  lessor.detach(1n, "k");
  assert.equal(lessor.leaseOf("k"), 0n);
  assert.equal(lessor.lookup(1n)?.keys.size, 0);
});

it("ReplicatedLessor.renew() is the leader's alone", () => {
  const lessor = makeLessor();
  lessor.grant(1n, 10);
  assert.throws(() => lessor.renew(1n, 0), { code: "NotLeader" });
  assert.throws(() => lessor.remainingSeconds(1n, 0), { code: "NotLeader" });
  lessor.promote(0);
  assert.equal(lessor.renew(1n, 5), 10);
  lessor.demote();
  assert.throws(() => lessor.renew(1n, 6), { code: "NotLeader" });
  assert.deepEqual(lessor.expired(1e9, 10), []);
  assert.equal(lessor.nextDeadlineMs(), undefined);
});

it("ReplicatedLessor.renew() gives a lease its whole TTL again, and refuses one that has expired", () => {
  const lessor = leader();
  lessor.grant(1n, 10);
  assert.equal(lessor.remainingSeconds(1n, 0), 10);
  assert.equal(lessor.remainingSeconds(1n, 9500), 0);
  assert.equal(lessor.renew(1n, 9500), 10);
  assert.equal(lessor.remainingSeconds(1n, 9501), 9);
  assert.equal(lessor.remainingSeconds(1n, 19_499), 0);
  assert.throws(() => lessor.renew(1n, 19_500), { code: "LeaseNotFound" });
  assert.throws(() => lessor.remainingSeconds(1n, 19_500), { code: "LeaseNotFound" });
  assert.throws(() => lessor.renew(2n, 0), { code: "LeaseNotFound" });
});

it("ReplicatedLessor.promote() gives every lease its whole TTL from then on", () => {
  const lessor = leader();
  lessor.grant(1n, 10);
  lessor.remainingSeconds(1n, 0);
  lessor.demote();
  lessor.promote(100_000);
  assert.deepEqual(lessor.expired(109_999, 10), []);
  assert.deepEqual(lessor.expired(110_000, 10), [1n]);
});

it("ReplicatedLessor.expired() gives the earliest first, no more than asked, and again when nothing came of it", () => {
  const lessor = leader();
  lessor.grant(1n, 30);
  lessor.grant(2n, 10);
  lessor.grant(3n, 20);
  assert.deepEqual(lessor.expired(0, 10), []);
  assert.equal(lessor.nextDeadlineMs(), 10_000);
  assert.deepEqual(lessor.expired(30_000, 2), [2n, 3n]);
  assert.deepEqual(lessor.expired(30_000, 2), [1n]);
  assert.deepEqual(lessor.expired(30_000, 2), []);
  assert.equal(lessor.nextDeadlineMs(), 30_000 + EXPIRED_RETRY_MS);
  lessor.endRevoke(3n);
  assert.deepEqual([...lessor.expired(30_000 + EXPIRED_RETRY_MS, 10)].sort(), [1n, 2n]);
});

it("ReplicatedLessor.nextDeadlineMs() asks at once for the time of a lease that apply has granted", () => {
  const lessor = leader();
  assert.equal(lessor.nextDeadlineMs(), undefined);
  lessor.grant(1n, 10);
  assert.equal(lessor.nextDeadlineMs(), 0);
  assert.deepEqual(lessor.expired(7, 10), []);
  assert.equal(lessor.nextDeadlineMs(), 10_007);
});

it("ReplicatedLessor.all() lists by what is left", () => {
  const lessor = leader();
  lessor.grant(1n, 30);
  lessor.grant(2n, 10);
  lessor.grant(3n, 20);
  lessor.expired(0, 1);
  assert.deepEqual(
    [...lessor.all()].map(({ id }) => id),
    [2n, 3n, 1n],
  );
});

it("ReplicatedLessor expires each lease at its own time, whatever was renewed before", () => {
  const step = fc.record({
    id: fc.bigInt({ min: 1n, max: 6n }),
    kind: fc.constantFrom("grant", "renew", "revoke", "expire"),
    waitMs: fc.nat({ max: 4000 }),
    ttl: fc.integer({ min: 2, max: 8 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3000, size: "medium" }), (steps) => {
      const lessor = leader();
      const deadlines = new Map<bigint, number>();
      const ttls = new Map<bigint, number>();
      let now = 0;
      for (const { id, kind, waitMs, ttl } of steps) {
        now += waitMs;
        lessor.expired(now, 0);
        const deadline = deadlines.get(id);
        if (kind === "grant" && deadline === undefined) {
          lessor.grant(id, ttl);
          lessor.expired(now, 0);
          ttls.set(id, ttl);
          deadlines.set(id, now + ttl * 1000);
        } else if (kind === "renew" && deadline !== undefined) {
          if (deadline <= now) assert.throws(() => lessor.renew(id, now), { code: "LeaseNotFound" });
          else {
            lessor.renew(id, now);
            deadlines.set(id, now + (ttls.get(id) ?? 0) * 1000);
          }
        } else if (kind === "revoke" && deadline !== undefined) {
          lessor.endRevoke(id);
          deadlines.delete(id);
        } else if (kind === "expire") {
          const due = [...deadlines].filter(([, at]) => at <= now).map(([due]) => due);
          assert.deepEqual([...lessor.expired(now, 100)].sort(), due.sort());
          for (const gone of due) {
            lessor.endRevoke(gone);
            deadlines.delete(gone);
          }
        }
      }
    }),
  );
});
