import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { flushDue } from "../../../logagent/rules/flush-due.ts";
import { isIgnoredByAge } from "../../../logagent/rules/ignored-by-age.ts";
import { RateLimit } from "../../../logagent/rules/rate-limit.ts";
import { TokenBucket } from "../../../logagent/rules/token-bucket.ts";
import { entryOf } from "./pipeline-bed.ts";

suite("TokenBucket", () => {
  test("allowance() starts with a second's worth, and says when there is more", () => {
    const bucket = new TokenBucket(10);
    assert.deepEqual(bucket.allowance(1000), { tokens: 10, waitMs: 0 });
    bucket.take(10, 1000);
    assert.deepEqual(bucket.allowance(1000), { tokens: 0, waitMs: 250 });
    assert.deepEqual(bucket.allowance(1100), { tokens: 0, waitMs: 150 });
    assert.deepEqual(bucket.allowance(1250), { tokens: 2, waitMs: 0 });
    assert.deepEqual(bucket.allowance(1_000_000), { tokens: 10, waitMs: 0 });
  });

  test("take() may leave a debt, which is paid first", () => {
    const bucket = new TokenBucket(10);
    bucket.take(30, 0);
    assert.deepEqual(bucket.allowance(0), { tokens: 0, waitMs: 2250 });
    assert.deepEqual(bucket.allowance(2250), { tokens: 2, waitMs: 0 });
  });

  test("keeps its rate whenever it is asked, also by a clock that stands or goes back", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: -50, max: 2000 }), fc.nat(40)), { maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, all) => {
        const bucket = new TokenBucket(perSecond);
        let nowMs = 0;
        let latestMs = 0;
        let taken = 0;
        let largest = 0;
        for (const [passedMs, wanted] of all) {
          nowMs += passedMs;
          latestMs = Math.max(latestMs, nowMs);
          const { tokens, waitMs } = bucket.allowance(nowMs);
          assert.equal(tokens === 0, waitMs > 0);
          if (tokens === 0) continue;
          bucket.take(wanted, nowMs);
          taken += wanted;
          largest = Math.max(largest, wanted);
        }
        assert.ok(taken <= perSecond + (perSecond * latestMs) / 1000 + largest);
      }),
    );
  });

  test("never says to wait for longer, or shorter, than it takes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.nat(100_000_000), (perSecond, debt) => {
        const bucket = new TokenBucket(perSecond);
        bucket.take(debt, 0);
        const { tokens, waitMs } = bucket.allowance(0);
        if (tokens > 0) return;
        assert.ok(bucket.allowance(waitMs + 1).tokens >= 1);
        assert.ok(waitMs <= Math.ceil((debt / perSecond) * 1000) + 1000);
      }),
    );
  });
});

suite("RateLimit", () => {
  test("allowance() is what bytes and lines both allow", () => {
    const limit = new RateLimit({ bytesPerSecond: 2000, linesPerSecond: 4 });
    assert.deepEqual(limit.allowance(0), { bytes: 2000, lines: 4, waitMs: 0 });
    limit.taken({ bytes: 100, lines: 4 }, 0);
    assert.deepEqual(limit.allowance(0), { bytes: 0, lines: 0, waitMs: 250 });
    assert.deepEqual(limit.allowance(250), { bytes: 2000, lines: 1, waitMs: 0 });
    limit.taken({ bytes: 6000, lines: 1 }, 250);
    assert.equal(limit.allowance(250).waitMs, 2250);
    assert.equal(new RateLimit({ linesPerSecond: 1 }).allowance(0).bytes, Number.POSITIVE_INFINITY);
  });
});

suite("flushDue()", () => {
  test("says what has waited long enough", () => {
    const entry = entryOf({ partialLineTimeoutMs: 3000, multiline: { preset: "go", timeoutMs: 1000 } });
    assert.deepEqual(flushDue(entry, 999), { final: false, partialLine: false, group: false });
    assert.deepEqual(flushDue(entry, 1000), { final: false, partialLine: false, group: true });
    assert.deepEqual(flushDue(entry, 3000), { final: false, partialLine: true, group: true });
    assert.deepEqual(flushDue(entryOf(), 1e12), { final: false, partialLine: false, group: false });
  });
});

suite("isIgnoredByAge()", () => {
  test("leaves alone what is old and was never shipped", () => {
    const entry = entryOf({ ignoreOlderThanSeconds: 60 });
    const file = { mtimeMs: 1000, nowMs: 61_000, isKnown: false };
    assert.equal(isIgnoredByAge(entry, file), false);
    assert.equal(isIgnoredByAge(entry, { ...file, nowMs: 61_001 }), true);
    assert.equal(isIgnoredByAge(entry, { ...file, nowMs: 61_001, isKnown: true }), false);
    assert.equal(isIgnoredByAge(entryOf(), { ...file, nowMs: 1e15 }), false);
  });
});
