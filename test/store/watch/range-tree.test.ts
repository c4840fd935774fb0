import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Random, seededRandom } from "../../../base/random.ts";
import { type Interval, RangeTree } from "../../../store/watch/range-tree.ts";

suite("RangeTree", () => {
  test("visit() finds the intervals that hold a key, as a list would", () => {
    for (let seed = 1; seed <= 100; seed += 1) compareWithList(seededRandom(seed), `seed ${seed}`);
  });

  test("visit() looks at few intervals when many are elsewhere", () => {
    const tree = new RangeTree<string>();
    let looks = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const start = `host-${String(i).padStart(5, "0")}/`;
      tree.add(
        {
          start,
          get end() {
            looks += 1;
            return `${start}\xff`;
          },
        },
        start,
      );
    }
    looks = 0;
    const found: string[] = [];
    tree.visit("host-04711/task", (value) => found.push(value));
    assert.deepEqual(found, ["host-04711/"]);
    assert.ok(looks < 100, `${looks} looks`);
  });
});

function compareWithList(random: Random, at: string): void {
  const tree = new RangeTree<number>();
  let list: { readonly interval: Interval; readonly value: number }[] = [];
  const below = (limit: number) => Math.floor(random.next() * limit);
  const key = () => String.fromCharCode(97 + below(8)).repeat(1 + below(2));
  for (let step = 0; step < 200; step += 1) {
    const interval = { start: key(), end: random.next() < 0.2 ? undefined : key() };
    const same = list.find(
      (known) => known.interval.start === interval.start && known.interval.end === interval.end,
    );
    assert.equal(tree.get(interval), same?.value, at);
    const gone = list[below(list.length * 2)];
    if (gone !== undefined) {
      tree.delete(gone.interval);
      list = list.filter((known) => known !== gone);
    } else if (same === undefined) {
      tree.add(interval, step);
      list.push({ interval, value: step });
    }
    assert.equal(tree.size, list.length, at);
    const probe = key();
    const holding = list.filter(
      ({ interval: { start, end } }) => start <= probe && (end === undefined || probe < end),
    );
    const found: number[] = [];
    tree.visit(probe, (value) => found.push(value));
    assert.deepEqual(
      found.toSorted((a, b) => a - b),
      holding.map(({ value }) => value).toSorted((a, b) => a - b),
      `${at}, step ${step}: ${probe}`,
    );
  }
}
