import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ReadIndexQueue } from "../../../store/raft/read-index.ts";

suite("ReadIndexQueue", () => {
  test("take() holds reads back while the commit of the term is unknown", () => {
    const reads = new ReadIndexQueue({ self: 1n, limit: 10 });
    reads.add(7);
    assert.deepEqual(reads.take([1n], undefined), []);
    reads.add(8);
    assert.deepEqual(reads.take([1n], 5), [
      { index: 5, context: 7 },
      { index: 5, context: 8 },
    ]);
    assert.equal(reads.waiting, 0);
  });

  test("take() gives nothing to a leader that only itself confirms, among three", () => {
    const reads = new ReadIndexQueue({ self: 1n, limit: 10 });
    reads.add(1);
    assert.deepEqual(reads.take([1n, 2n, 3n], 5), []);
    assert.equal(reads.waiting, 1);
  });

  test("add() refuses above the limit; clear() forgets", () => {
    const reads = new ReadIndexQueue({ self: 1n, limit: 2 });
    assert.deepEqual([reads.add(1), reads.add(2), reads.add(3)], [true, true, false]);
    reads.clear();
    assert.equal(reads.add(4), true);
    assert.deepEqual(reads.take([1n], 1), [{ index: 1, context: 4 }]);
  });
});
