import assert from "node:assert/strict";
import { test } from "node:test";
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
