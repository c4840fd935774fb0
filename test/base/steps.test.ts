import assert from "node:assert/strict";
import { test } from "node:test";
import { Slice } from "../../base/slice.ts";
import { runAtOnce, runInSlices } from "../../base/steps.ts";
import { ManualClock } from "../support/manual-clock.ts";

function* counting(count: number, onStep: (step: number) => void): Generator<undefined, string> {
  for (let step = 1; step <= count; step += 1) {
    onStep(step);
    yield;
  }
  return `${count} steps`;
}

test("runInSlices() ends a slice after 10 ms and goes on in a later turn", async () => {
  const clock = new ManualClock();
  const later: (() => void)[] = [];
  let steps = 0;
  const result = runInSlices({ clock, later: (work) => void later.push(work) })(
    counting(7, (step) => {
      steps = step;
      void clock.advance(4);
    }),
  );
  assert.equal(steps, 3);
  later.shift()?.();
  assert.equal(steps, 6);
  assert.equal(later.length, 1);
  later.shift()?.();
  assert.equal(await result, "7 steps");
  assert.equal(later.length, 0);
});

test("runInSlices() rejects with what a step throws, in any slice", async () => {
  const clock = new ManualClock();
  const later: (() => void)[] = [];
  const run = runInSlices({ clock, later: (work) => void later.push(work) });
  const result = run(
    counting(5, (step) => {
      void clock.advance(20);
      if (step === 2) throw new Error("second step");
    }),
  );
  later.shift()?.();
  await assert.rejects(result, /second step/);
});

test("runAtOnce() gives the result of all steps", () => {
  let steps = 0;
  assert.equal(
    runAtOnce(
      counting(5, () => {
        steps += 1;
      }),
    ),
    "5 steps",
  );
  assert.equal(steps, 5);
});

test("Slice is over after 10 ms, and the next begins when others have had their turn", async () => {
  const clock = new ManualClock();
  const slice = new Slice(clock);
  clock.advance(9);
  assert.equal(slice.isOver, false);
  clock.advance(1);
  assert.equal(slice.isOver, true);
  let hadTurn = false;
  setImmediate(() => {
    hadTurn = true;
    clock.advance(100);
  });
  await slice.giveTurn();
  assert.equal(hadTurn, true);
  assert.equal(slice.isOver, false);
  clock.advance(10);
  assert.equal(slice.isOver, true);
});

test("Slice.giveTurn() rejects with the reason of a signal that is aborted meanwhile", async () => {
  const stop = new AbortController();
  const turn = new Slice(new ManualClock()).giveTurn(stop);
  stop.abort(new Error("the task stops"));
  await assert.rejects(turn, /the task stops/);
});
