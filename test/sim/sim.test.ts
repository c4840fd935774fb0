import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { outsideOfMicrotasks } from "./drain.ts";
import { report } from "./report.ts";
import { runCoreSeed } from "./run-core-seed.ts";
import { type Outcome, runSeed } from "./run-seed.ts";

const SEEDS = 300;
/** A test has its time, on a machine that has much else to do. */
const SEEDS_A_TEST = 50;
const CORE_SEEDS = 100;

suite("a simulated cluster", () => {
  for (let first = 1; first <= SEEDS; first += SEEDS_A_TEST) {
    const last = first + SEEDS_A_TEST - 1;
    test(`keeps every promise in the lives ${first} to ${last}`, async () => {
      const total = { acknowledged: 0, unknown: 0, leaders: 0, watched: 0, renewals: 0, halfEntries: 0 };
      for (let seed = first; seed <= last; seed += 1) {
        const outcome = await life(seed);
        assert.ok(outcome.violation === undefined, report(outcome));
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += outcome[key];
      }
      // Worth something only if there was something to be kept.
      const least = { acknowledged: 50, unknown: 2, leaders: 4, watched: 50, renewals: 1, halfEntries: 20 };
      for (const key of Object.keys(total) as (keyof typeof total)[]) {
        assert.ok(total[key] > least[key] * SEEDS_A_TEST, JSON.stringify(total));
      }
    });
  }

  test("lives the same life again from the same seed", async () => {
    for (const seed of [3, 7, 11]) {
      const [one, again] = [await life(seed), await life(seed)];
      assert.deepEqual(again, one, `seed ${seed}`);
    }
    assert.notEqual((await life(3)).traceHash, (await life(7)).traceHash);
  });
});

suite("bare cores", () => {
  test(`keep Raft's laws in ${CORE_SEEDS} lives`, async () => {
    for (let seed = 1; seed <= CORE_SEEDS; seed += 1) {
      const { violation, log, acknowledged } = await outsideOfMicrotasks(() => runCoreSeed(seed));
      assert.ok(violation === undefined, [`core seed ${seed}`, ...log, violation?.stack].join("\n"));
      assert.ok(acknowledged > 0, `core seed ${seed} had something acknowledged`);
    }
  });
});

function life(seed: number): Promise<Outcome> {
  return outsideOfMicrotasks(() => runSeed(seed));
}
