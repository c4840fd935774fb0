import assert from "node:assert/strict";
import { test } from "node:test";
import { sleepUnlessAborted } from "../../base/clock.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("sleepUnlessAborted() resolves after the time, and at once when the signal is aborted", async () => {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const slept = sleepUnlessAborted(clock, 100, stopping);
  clock.advance(100);
  await slept;
  const brokenOff = sleepUnlessAborted(clock, 100, stopping);
  stopping.abort();
  await brokenOff;
  await sleepUnlessAborted(clock, 100, stopping);
  assert.equal(clock.monotonicMs(), 100);
});

test("sleepUnlessAborted() throws what a clock fails with", async () => {
  const broken = { sleep: () => Promise.reject(new Error("no timer")) };
  await assert.rejects(sleepUnlessAborted(broken, 100, new AbortController()), /no timer/);
});
