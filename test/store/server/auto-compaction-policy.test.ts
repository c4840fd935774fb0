import assert from "node:assert/strict";
import { test } from "node:test";
import type { AutoCompaction } from "../../../conf/store-settings.ts";
import { autoCompactionPolicy } from "../../../store/server/auto-compaction-policy.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Runs a policy with one new revision a minute; gives [minute, revision] of each compaction. */
function run(settings: AutoCompaction, minutes: number): (readonly [minute: number, revision: number])[] {
  const policy = autoCompactionPolicy(settings, 0);
  assert.ok(policy);
  const compactions: (readonly [number, number])[] = [];
  for (let nowMs = 0; nowMs < minutes * MINUTE_MS; ) {
    policy.sample(1 + Math.floor(nowMs / MINUTE_MS));
    nowMs += policy.intervalMs;
    const revision = policy.due(nowMs, 1 + Math.floor(nowMs / MINUTE_MS));
    if (revision === undefined) continue;
    compactions.push([nowMs / MINUTE_MS, revision]);
    policy.compacted(revision, nowMs);
  }
  return compactions;
}

test("autoCompactionPolicy() is none when auto-compaction is off", () => {
  assert.equal(autoCompactionPolicy({ kind: "off" }, 0), undefined);
});

test("autoCompactionPolicy() periodic 1h compacts each hour to the revision of an hour before", () => {
  assert.deepEqual(run({ kind: "periodic", retentionMs: HOUR_MS }, 181), [
    [60, 1],
    [120, 55],
    [180, 115],
  ]);
});

test("autoCompactionPolicy() periodic 24h waits a day, then compacts each hour", () => {
  const compactions = run({ kind: "periodic", retentionMs: 24 * HOUR_MS }, 26 * 60 + 1);
  assert.deepEqual(
    compactions.map(([minute]) => minute),
    [24 * 60, 25 * 60, 26 * 60],
  );
  for (const [minute, revision] of compactions) {
    assert.ok(minute - revision >= 24 * 60 - 1, `at minute ${minute} revision ${revision} is a day old`);
  }
});

test("autoCompactionPolicy() periodic 10m compacts every ten minutes, sampling every minute", () => {
  assert.equal(
    autoCompactionPolicy({ kind: "periodic", retentionMs: 10 * MINUTE_MS }, 0)?.intervalMs,
    MINUTE_MS,
  );
  const compactions = run({ kind: "periodic", retentionMs: 10 * MINUTE_MS }, 41);
  assert.deepEqual(
    compactions.map(([minute]) => minute),
    [10, 20, 30, 40],
  );
});

test("autoCompactionPolicy() periodic does nothing while nothing was written, and tries again after a failure", () => {
  const policy = autoCompactionPolicy({ kind: "periodic", retentionMs: 10 }, 0);
  assert.ok(policy);
  policy.sample(5);
  assert.equal(policy.due(9, 5), undefined, "before a whole retention");
  policy.sample(5);
  assert.equal(policy.due(10, 5), 5);
  policy.sample(5);
  assert.equal(policy.due(11, 5), 5, "still due: it was not done");
  policy.compacted(5, 11);
  for (let step = 0; step < 50; step += 1) policy.sample(5);
  assert.equal(policy.due(1_000, 5), undefined, "the same revision again");
});

test("autoCompactionPolicy() revision keeps that many, looking every five minutes", () => {
  assert.deepEqual(run({ kind: "revision", retention: 10 }, 20), [
    [10, 1],
    [15, 6],
    [20, 11],
  ]);
});
