import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Inflights } from "../../../store/raft/inflights.ts";

const NO_LIMIT = Number.MAX_SAFE_INTEGER;

suite("Inflights", () => {
  // Message i is of 100 + i bytes.
  for (const { name, messages, bytes, fullAt, freeTo, fullAgainAt } of [
    { name: "one message", messages: 1, bytes: NO_LIMIT, fullAt: 1, freeTo: 1, fullAgainAt: 2 },
    {
      name: "one that is larger than the bytes",
      messages: 1,
      bytes: 10,
      fullAt: 1,
      freeTo: 1,
      fullAgainAt: 2,
    },
    { name: "messages", messages: 15, bytes: NO_LIMIT, fullAt: 15, freeTo: 6, fullAgainAt: 22 },
    { name: "bytes, just passed", messages: 8, bytes: 400, fullAt: 4, freeTo: 2, fullAgainAt: 7 },
    { name: "bytes, exactly", messages: 8, bytes: 406, fullAt: 4, freeTo: 3, fullAgainAt: 8 },
    { name: "bytes, passed by more", messages: 15, bytes: 408, fullAt: 5, freeTo: 1, fullAgainAt: 6 },
  ]) {
    test(`is full at its limit and takes more after freeTo(): ${name}`, () => {
      const inflights = new Inflights({ messages, bytes });
      const addUntilFull = (from: number, to: number) => {
        for (let i = from; i < to; i += 1) {
          assert.equal(inflights.isFull, false, `full at ${i}`);
          inflights.add(i, 100 + i);
        }
        assert.equal(inflights.isFull, true);
      };
      addUntilFull(0, fullAt);
      inflights.freeTo(freeTo);
      addUntilFull(fullAt, fullAgainAt);
      assert.throws(() => inflights.add(100, 1024), /Invariant broken: nothing is added to full inflights/);
    });
  }

  test("freeTo() leaves what ends behind the index", () => {
    const inflights = new Inflights({ messages: 4, bytes: NO_LIMIT });
    for (const index of [3, 5, 9]) inflights.add(index, 1);
    inflights.freeTo(2);
    assert.equal(inflights.count, 3);
    inflights.freeTo(8);
    assert.equal(inflights.count, 1);
    inflights.freeTo(9);
    assert.equal(inflights.count, 0);
    inflights.freeTo(20);
    assert.equal(inflights.count, 0);
  });

  test("reset() forgets messages and bytes", () => {
    const inflights = new Inflights({ messages: 2, bytes: 100 });
    inflights.add(1, 100);
    inflights.reset();
    assert.deepEqual([inflights.count, inflights.isFull], [0, false]);
    inflights.add(1, 99);
    assert.equal(inflights.isFull, false);
  });

  test("refuses limits that let nothing through", () => {
    assert.throws(() => new Inflights({ messages: 0, bytes: 1 }), /something may be in flight/);
    assert.throws(() => new Inflights({ messages: 1, bytes: 0 }), /something may be in flight/);
  });

  test("add(), freeTo() and reset() in any order count like a plain list", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.nat(40), gap: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 3, arbitrary: fc.record({ free: fc.nat(12) }) },
      { weight: 1, arbitrary: fc.constant({ reset: true }) },
    );
    const limits = fc.record({
      messages: fc.integer({ min: 1, max: 6 }),
      bytes: fc.oneof(fc.constant(NO_LIMIT), fc.integer({ min: 1, max: 90 })),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60 }), ({ messages, bytes }, steps) => {
        const inflights = new Inflights({ messages, bytes });
        let list: { index: number; bytes: number }[] = [];
        let last = 0;
        for (const taken of steps) {
          if ("reset" in taken) {
            inflights.reset();
            list = [];
          } else if ("free" in taken) {
            const to = last - taken.free;
            inflights.freeTo(to);
            list = list.filter(({ index }) => index > to);
          } else if (!inflights.isFull) {
            last += taken.gap;
            inflights.add(last, taken.add);
            list.push({ index: last, bytes: taken.add });
          }
          const sum = list.reduce((total, message) => total + message.bytes, 0);
          assert.equal(inflights.count, list.length);
          assert.equal(inflights.isFull, list.length === messages || sum >= bytes);
        }
      }),
      { seed: 12, numRuns: 500 },
    );
  });
});
