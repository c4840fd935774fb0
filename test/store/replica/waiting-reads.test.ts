import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { WaitingReads } from "../../../store/replica/waiting-reads.ts";

const options = { deadlineMs: 100, signal: new AbortController().signal };

/** Reads, and a core that takes every question. */
class Bed {
  readonly asked: bigint[] = [];
  readonly served: string[] = [];
  readonly reads: WaitingReads;
  #context = 0n;

  constructor() {
    this.reads = new WaitingReads(() => {
      this.#context += 1n;
      return this.#context;
    });
  }

  ask(nowMs = 0): void {
    this.reads.ask((context) => {
      this.asked.push(context);
      return "accepted";
    }, nowMs);
  }

  /** A reader whose name is noted when it is served. */
  add(name: string, signal?: AbortSignal): Promise<void> {
    const reader = this.reads.add({ ...options, signal: signal ?? options.signal });
    return reader.then(() => void this.served.push(name));
  }
}

suite("WaitingReads", () => {
  test("a reader that comes after the batch was asked for is not served by its index", async () => {
    const bed = new Bed();
    const { reads } = bed;
    const early = bed.add("early");
    bed.ask();
    const late = bed.add("late");
    bed.ask();
    assert.deepEqual(bed.asked, [1n], "one batch at a time");
    reads.answered({ context: 1n, index: 5 });
    reads.appliedTo(4);
    assert.equal(reads.size, 2);
    reads.appliedTo(5);
    await early;
    assert.deepEqual(bed.served, ["early"]);
    bed.ask();
    reads.answered({ context: 2n, index: 5 });
    reads.appliedTo(5);
    await late;
    assert.deepEqual([bed.asked, reads.size], [[1n, 2n], 0]);
  });

  for (const refusal of ["noLeader", "tooMany"] as const) {
    test(`ask() keeps the batch gathered after "${refusal}", and asks with a new context`, async () => {
      const bed = new Bed();
      const reader = bed.add("reader");
      bed.reads.ask(() => refusal, 0);
      const joined = bed.add("joined");
      bed.ask();
      assert.deepEqual(bed.asked, [2n]);
      bed.reads.answered({ context: 2n, index: 1 });
      bed.reads.appliedTo(1);
      await Promise.all([reader, joined]);
    });
  }

  test("ask() asks for nobody", () => {
    const bed = new Bed();
    bed.ask();
    assert.deepEqual(bed.asked, []);
  });

  test("askAgain() asks for what has waited since before the time it is given, and for nothing younger", () => {
    const bed = new Bed();
    void bed.add("reader");
    bed.ask(100);
    bed.reads.askAgain(100);
    bed.ask(150);
    assert.deepEqual(bed.asked, [1n]);
    bed.reads.askAgain(101);
    bed.ask(150);
    assert.deepEqual(bed.asked, [1n, 2n]);
    bed.reads.askAgain(150);
    bed.ask(200);
    assert.deepEqual(bed.asked, [1n, 2n], "it is as young as its last question");
  });

  test("askAgain() takes in who has gathered meanwhile, and a late answer to the old question is none", async () => {
    const bed = new Bed();
    const first = bed.add("first");
    bed.ask();
    const second = bed.add("second");
    bed.reads.askAgain();
    bed.ask();
    bed.reads.answered({ context: 1n, index: 1 });
    bed.reads.appliedTo(1);
    assert.equal(bed.reads.size, 2, "an answer to the lost question counts no more");
    bed.reads.answered({ context: 2n, index: 3 });
    bed.reads.answered({ context: 2n, index: 9 });
    bed.reads.appliedTo(3);
    await Promise.all([first, second]);
    assert.deepEqual([bed.asked, bed.reads.size], [[1n, 2n], 0]);
  });

  test("askAgain() leaves those alone whose index is known", async () => {
    const bed = new Bed();
    const reader = bed.add("reader");
    bed.ask();
    bed.reads.answered({ context: 1n, index: 4 });
    bed.reads.askAgain();
    bed.ask();
    assert.deepEqual(bed.asked, [1n]);
    bed.reads.appliedTo(4);
    await reader;
  });

  for (const state of ["gathering", "asked", "indexed", "merged", "merged and asked"] as const) {
    test(`a reader that gives up while it is ${state} leaves nothing behind`, async () => {
      const bed = new Bed();
      const controller = new AbortController();
      const reason = new Error("gone");
      if (state.startsWith("merged")) {
        void bed.add("of the older batch");
        bed.ask();
      }
      const reader = bed.add("quitter", controller.signal);
      if (state.startsWith("merged")) bed.reads.askAgain();
      if (state === "asked" || state === "indexed" || state === "merged and asked") bed.ask();
      if (state === "indexed") bed.reads.answered({ context: 1n, index: 9 });
      const others = state.startsWith("merged") ? 1 : 0;
      assert.equal(bed.reads.size, others + 1);
      controller.abort(reason);
      await assert.rejects(reader, reason);
      assert.equal(bed.reads.size, others);
    });
  }

  test("expire() rejects with Timeout what has waited long enough, in every state", async () => {
    const { reads } = new Bed();
    const indexed = reads.add(options);
    reads.ask(() => "accepted", 0);
    reads.answered({ context: 1n, index: 9 });
    const asked = reads.add({ ...options, deadlineMs: 200 });
    reads.ask(() => "accepted", 0);
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
