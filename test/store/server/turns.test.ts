import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../../base/clock.ts";
import { StepPump } from "../../../store/server/step-pump.ts";
import { Turns } from "../../../store/server/turns.ts";

const never = new AbortController().signal;

/** A clock on which each look takes `lookMs`. */
function tickingClock(lookMs: number): Clock {
  let nowMs = 0;
  return {
    monotonicMs: () => {
      nowMs += lookMs;
      return nowMs;
    },
    wallMs: () => 0,
    sleep: () => Promise.reject(new Error("nobody sleeps here")),
  };
}

function* steps(count: number, log: string[], name: string): Generator<undefined, string> {
  try {
    for (let step = 0; step < count; step += 1) {
      log.push(`${name}${step}`);
      yield;
    }
    return name;
  } finally {
    log.push(`${name} closed`);
  }
}

test("Turns.run() runs short work in one go and gives its result", async () => {
  const log: string[] = [];
  const running = new Turns(tickingClock(0)).run(steps(3, log, "a"), { signal: never });
  assert.deepEqual(log, ["a0", "a1", "a2", "a closed"], "before anything is awaited");
  assert.equal(await running, "a");
});

test("Turns.run() gives one slice a turn of the event loop, first come first served", async () => {
  const log: string[] = [];
  const turns = new Turns(tickingClock(20));
  let isDone = false;
  const countTurns = () => {
    if (isDone) return;
    log.push("|");
    setImmediate(countTurns);
  };
  setImmediate(countTurns);
  await Promise.all([
    turns.run(steps(3, log, "a"), { signal: never }),
    turns.run(steps(3, log, "b"), { signal: never }),
  ]);
  isDone = true;
  const slices = log
    .join(" ")
    .split(" | ")
    .map((turn) => turn.trim());
  assert.deepEqual(slices[0], "a0 b0", "each starts at once");
  for (const slice of slices.slice(1))
    assert.ok(!(slice.includes("a") && slice.includes("b")), log.join(" "));
  const order = log.filter((entry) => /^[ab]\d$/.test(entry));
  assert.deepEqual(order, ["a0", "b0", "a1", "b1", "a2", "b2"]);
});

test("Turns.run() closes the generator when it is aborted between slices, and when it throws", async () => {
  const log: string[] = [];
  const turns = new Turns(tickingClock(20));
  const controller = new AbortController();
  const running = turns.run(steps(1_000, log, "a"), { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(running, { message: "enough" });
  assert.deepEqual(log, ["a0", "a closed"]);
  function* failing(): Generator<undefined, void> {
    yield;
    throw new Error("broken");
  }
  await assert.rejects(turns.run(failing(), { signal: never }), { message: "broken" });
});

test("StepPump runs until a step says that nothing is left, and again when kicked", async () => {
  let left = 0;
  let ran = 0;
  const turns = new Turns(tickingClock(20));
  const onError = (error: unknown) => assert.fail(String(error));
  const pump = new StepPump({
    turns,
    onError,
    step: () => {
      ran += 1;
      left -= 1;
      return left > 0;
    },
  });
  await pump.idle();
  assert.equal(ran, 0);
  left = 5;
  pump.kick();
  pump.kick();
  assert.equal(ran, 0, "a kick does no work of its own");
  await pump.idle();
  assert.ok(left <= 0);
  assert.ok(ran >= 5);
  const before = ran;
  left = 1;
  pump.kick();
  await pump.idle();
  assert.ok(ran > before);
  await pump.close();
  pump.kick();
  await pump.idle();
  assert.ok(ran > before);
});

test("StepPump tells what a step threw, and stops", async () => {
  const errors: unknown[] = [];
  const pump = new StepPump({
    turns: new Turns(tickingClock(0)),
    onError: (error) => errors.push(error),
    step: () => {
      throw new Error("broken");
    },
  });
  pump.kick();
  await pump.idle();
  pump.kick();
  await pump.idle();
  assert.deepEqual(errors.map(String), ["Error: broken"]);
});
