import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { backoffMs } from "../../base/backoff.ts";
import { seededRandom } from "../../base/random.ts";

const limits = { baseMs: 100, maxMs: 5000 };
const always = (value: number) => ({ next: () => value, uint64: () => 0n });

suite("backoffMs()", () => {
  test("doubles its ceiling up to the maximum", () => {
    const ceilings = [0, 1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs(attempt, limits, always(1)));
    assert.deepEqual(ceilings, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test("stays within its bounds for any number of attempts", () => {
    const random = seededRandom(3);
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      const ms = backoffMs(attempt, limits, random);
      assert.ok(ms >= 0 && ms < limits.maxMs, `attempt ${attempt}: ${ms} ms`);
    }
  });

  test("draws from the whole range: a fleet does not come back as one", () => {
    const random = seededRandom(4);
    const draws = Array.from({ length: 1000 }, () => backoffMs(10, limits, random));
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const share = draws.filter((ms) => Math.floor((ms / limits.maxMs) * 10) === tenth).length;
      assert.ok(share > 60 && share < 140, `${share} of 1000 in tenth ${tenth}`);
    }
  });
});
