import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../base/random.ts";
import { sortInSteps } from "../../base/sort-in-steps.ts";

interface Item {
  readonly rank: number;
  readonly place: number;
}

test("sortInSteps() sorts stably, as toSorted() does, whatever the length", () => {
  const random = seededRandom(7);
  for (const length of [0, 1, 2, 4095, 4096, 4097, 3 * 4096, 50_000]) {
    const items = Array.from(
      { length },
      (_, place): Item => ({ rank: Math.floor(random.next() * 900), place }),
    );
    const before = [...items];
    const byRank = (a: Item, b: Item) => a.rank - b.rank;
    const { sorted, steps } = drain(sortInSteps(items, byRank));
    assert.deepEqual(sorted, items.toSorted(byRank), `${length} items`);
    assert.deepEqual(items, before);
    assert.ok(steps >= Math.ceil(length / 4096) - 1, `${steps} steps for ${length} items`);
  }
});

function drain<T>(steps: Generator<undefined, T[]>): { sorted: T[]; steps: number } {
  for (let count = 0; ; count += 1) {
    const step = steps.next();
    if (step.done === true) return { sorted: step.value, steps: count };
  }
}
