import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { AckedRanges } from "../../logagent/source/acked-ranges.ts";

suite("AckedRanges", () => {
  test("contiguousTo never passes a gap", () => {
    const ranges = new AckedRanges(100);
    ranges.add(150, 200);
    assert.equal(ranges.contiguousTo, 100);
    ranges.add(100, 140);
    assert.equal(ranges.contiguousTo, 140);
    ranges.add(140, 150);
    assert.equal(ranges.contiguousTo, 200);
    assert.deepEqual(ranges.islands, []);
  });

  test("add() refuses a reversed range", () => {
    assert.throws(() => new AckedRanges(0).add(2, 1), /acknowledged range \[2, 1\) is not reversed/);
  });

  test("add() in any order, also twice, ends where the bytes say", () => {
    const size = 60;
    const range = fc
      .tuple(fc.nat(size), fc.nat(size))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 30 }), (added) => {
        const ranges = new AckedRanges(0);
        const bytes = new Array<boolean>(size + 1).fill(false);
        for (const [from, to] of added) {
          ranges.add(from, to);
          bytes.fill(true, from, to);
          const gap = bytes.indexOf(false);
          assert.equal(ranges.contiguousTo, gap);
          const islands = ranges.islands.flatMap(({ from: low, to: high }) => [low, high]);
          assert.deepEqual(
            islands,
            [...islands].sort((a, b) => a - b),
          );
          const beyond = ranges.islands.reduce((sum, { from: low, to: high }) => sum + high - low, 0);
          assert.equal(beyond, bytes.slice(gap).filter(Boolean).length);
        }
      }),
      { numRuns: 500 },
    );
  });
});
