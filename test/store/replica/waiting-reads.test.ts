import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { WaitingReads } from "../../../store/replica/waiting-reads.ts";

const options = { deadlineMs: 100, signal: new AbortController().signal };

suite("WaitingReads", () => {
  test("a reader that comes after the batch was asked for is not served by its index", async () => {
    const reads = new WaitingReads();
    const asked: number[] = [];
    const ask = (context: number) => asked.push(context) > 0;
    const early = reads.add(options);
    reads.ask(ask);
    let lateIsServed = false;
    const late = reads.add(options).then(() => {
      lateIsServed = true;
    });
    reads.ask(ask);
    assert.deepEqual(asked, [1], "one batch at a time");
    reads.answered({ context: 1, index: 5 });
    reads.appliedTo(4);
    assert.equal(reads.size, 2);
    reads.appliedTo(5);
    await early;
    assert.equal(lateIsServed, false);
    reads.ask(ask);
    reads.answered({ context: 2, index: 5 });
    reads.appliedTo(5);
    await late;
    assert.deepEqual([asked, reads.size], [[1, 2], 0]);
  });

  test("ask() keeps the batch while there is no leader; askAgain() asks for a batch that lost its leader", async () => {
    const reads = new WaitingReads();
    const reader = reads.add(options);
    reads.ask(() => false);
    const asked: number[] = [];
    reads.ask((context) => asked.push(context) > 0);
    reads.askAgain();
    reads.answered({ context: 1, index: 1 });
    reads.appliedTo(1);
    assert.equal(reads.size, 1, "an answer to the lost batch counts no more");
    reads.ask((context) => asked.push(context) > 0);
    reads.answered({ context: 2, index: 3 });
    reads.appliedTo(3);
    await reader;
    assert.deepEqual(asked, [1, 2]);
  });

  test("expire() rejects with Timeout what has waited long enough, in every state", async () => {
    const reads = new WaitingReads();
    const indexed = reads.add(options);
    reads.ask(() => true);
    reads.answered({ context: 1, index: 9 });
    const asked = reads.add({ ...options, deadlineMs: 200 });
    reads.ask(() => true);
    const gathering = reads.add({ ...options, deadlineMs: 300 });
    reads.expire(99);
    assert.equal(reads.size, 3);
    reads.expire(250);
    await assert.rejects(indexed, { code: "Timeout" });
    await assert.rejects(asked, { code: "Timeout" });
    assert.equal(reads.size, 1);
    reads.expire(300);
    await assert.rejects(gathering, { code: "Timeout" });
  });
});
