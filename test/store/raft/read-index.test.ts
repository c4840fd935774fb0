import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ReadIndexQueue } from "../../../store/raft/read-index.ts";

const voters = (...ids: readonly bigint[]) => ({ incoming: new Set(ids), outgoing: new Set<bigint>() });
const THREE = voters(1n, 2n, 3n);

/** A queue with these contexts in it, asked at commit 5. */
function queueOf(...contexts: readonly bigint[]): ReadIndexQueue {
  const queue = new ReadIndexQueue(10);
  for (const context of contexts) queue.add({ from: 1n, context }, 5);
  return queue;
}

suite("ReadIndexQueue", () => {
  test("takeConfirmed() gives what a quorum has confirmed, in order, once", () => {
    const queue = queueOf(7n, 8n, 9n);
    assert.equal(queue.position, 3);
    queue.acknowledge(1n, 3);
    assert.deepEqual(queue.takeConfirmed(THREE), []);
    queue.acknowledge(2n, 2);
    assert.deepEqual(queue.takeConfirmed(THREE), [
      { from: 1n, context: 7n, index: 5 },
      { from: 1n, context: 8n, index: 5 },
    ]);
    assert.deepEqual(queue.takeConfirmed(THREE), []);
    queue.acknowledge(3n, 3);
    assert.deepEqual(
      queue.takeConfirmed(THREE).map(({ context }) => context),
      [9n],
    );
    assert.equal(queue.position, 0);
  });

  test("takeConfirmed() does not take an old answer for one to a later read", () => {
    const queue = queueOf(1n);
    queue.acknowledge(1n, 1);
    queue.acknowledge(2n, 1);
    assert.equal(queue.takeConfirmed(THREE).length, 1);
    queue.add({ from: 1n, context: 2n }, 6);
    assert.equal(queue.position, 2);
    queue.acknowledge(1n, 2);
    queue.acknowledge(3n, 1);
    assert.deepEqual(queue.takeConfirmed(THREE), []);
    queue.acknowledge(3n, 2);
    assert.deepEqual(queue.takeConfirmed(THREE), [{ from: 1n, context: 2n, index: 6 }]);
  });

  test("acknowledge() of a lower position, which came late, takes nothing back", () => {
    const queue = queueOf(1n, 2n);
    queue.acknowledge(1n, 2);
    queue.acknowledge(2n, 2);
    queue.acknowledge(2n, 1);
    assert.equal(queue.takeConfirmed(THREE).length, 2);
  });

  test("takeConfirmed() counts neither learners nor strangers, and both halves of a joint configuration", () => {
    const queue = queueOf(1n);
    queue.acknowledge(1n, 1);
    queue.acknowledge(9n, 1);
    assert.deepEqual(queue.takeConfirmed(THREE), []);
    queue.acknowledge(2n, 1);
    const joint = { incoming: THREE.incoming, outgoing: new Set([4n, 5n, 6n]) };
    assert.deepEqual(queue.takeConfirmed(joint), []);
    queue.acknowledge(4n, 1);
    queue.acknowledge(5n, 1);
    assert.equal(queue.takeConfirmed(joint).length, 1);
  });

  test("add() without a commit postpones, until releasePostponed() tells it", () => {
    const queue = new ReadIndexQueue(10);
    queue.add({ from: 1n, context: 7n }, undefined);
    queue.add({ from: 2n, context: 8n }, undefined);
    assert.deepEqual([queue.hasPostponed, queue.position], [true, 0]);
    queue.releasePostponed(4);
    assert.deepEqual([queue.hasPostponed, queue.position], [false, 2]);
    queue.acknowledge(1n, 2);
    assert.deepEqual(queue.takeConfirmed(voters(1n)), [
      { from: 1n, context: 7n, index: 4 },
      { from: 2n, context: 8n, index: 4 },
    ]);
  });

  test("isFull counts both kinds; clear() forgets everything, positions too", () => {
    const queue = new ReadIndexQueue(2);
    queue.add({ from: 1n, context: 1n }, undefined);
    assert.equal(queue.isFull, false);
    queue.add({ from: 1n, context: 2n }, 5);
    assert.equal(queue.isFull, true);
    queue.acknowledge(1n, 1);
    queue.clear();
    assert.deepEqual([queue.isFull, queue.hasPostponed, queue.position], [false, false, 0]);
    queue.add({ from: 1n, context: 3n }, 5);
    assert.equal(queue.position, 1);
    assert.deepEqual(queue.takeConfirmed(voters(1n)), [], "an answer of an earlier reign does not count");
  });
});
