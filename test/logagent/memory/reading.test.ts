import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CGROUP_SHARE, fullReadingBytes, memoryLimitBytes } from "../../../logagent/memory/limit-bytes.ts";
import {
  FIRST_READING,
  GROW_BELOW,
  HALVINGS_MAX,
  nextReading,
  READING_BYTES_MIN,
  REDUCE_ABOVE,
  RESUME_BELOW,
  type Reading,
  readingBytes,
  STOPPED_MAX_MS,
} from "../../../logagent/memory/reading.ts";

const MIB = 1024 * 1024;
const LIMIT = 1_000;
const next = (reading: Reading, share: number, nowMs = 0) =>
  nextReading(reading, { rssBytes: share * LIMIT, limitBytes: LIMIT, nowMs });

suite("nextReading()", () => {
  test("begins with little, and has all of its budget after as many samples as there are steps", () => {
    let reading = FIRST_READING;
    assert.equal(readingBytes(reading, 1024 * MIB), 16 * MIB);
    for (let i = 0; i < HALVINGS_MAX; i++) reading = next(reading, GROW_BELOW - 0.01);
    assert.deepEqual(reading, { kind: "growing", halvings: 0 });
    assert.equal(readingBytes(reading, 1024 * MIB), 1024 * MIB);
  });

  test("halves step by step while memory is near its limit, and stays between the two marks", () => {
    let reading: Reading = { kind: "growing", halvings: 0 };
    reading = next(reading, REDUCE_ABOVE + 0.01);
    assert.deepEqual(reading, { kind: "reduced", halvings: 1 });
    assert.equal(next(reading, (REDUCE_ABOVE + GROW_BELOW) / 2), reading);
    for (let i = 0; i < 20; i++) reading = next(reading, REDUCE_ABOVE + 0.01);
    assert.deepEqual(reading, { kind: "reduced", halvings: HALVINGS_MAX });
    assert.equal(readingBytes(reading, 10 * MIB), READING_BYTES_MIN);
    for (let i = 1; i < HALVINGS_MAX; i++) reading = next(reading, GROW_BELOW - 0.01);
    assert.deepEqual(reading, { kind: "reduced", halvings: 1 });
    assert.deepEqual(next(reading, GROW_BELOW - 0.01), { kind: "growing", halvings: 0 });
  });

  test("stops above the limit, and goes on at its least when there is room again", () => {
    let reading = next({ kind: "growing", halvings: 0 }, 1.01, 7);
    assert.deepEqual(reading, { kind: "stopped", sinceMs: 7 });
    assert.equal(readingBytes(reading, 64 * MIB), 0);
    reading = next(reading, (1 + RESUME_BELOW) / 2, 8);
    assert.equal(reading.kind, "stopped");
    assert.deepEqual(next(reading, RESUME_BELOW - 0.01, 9), { kind: "reduced", halvings: HALVINGS_MAX });
  });

  test("never stops for ever: what does not help ends after a while", () => {
    let reading = next({ kind: "reduced", halvings: 3 }, 1.5, 0);
    reading = next(reading, 1.5, STOPPED_MAX_MS - 1);
    assert.equal(reading.kind, "stopped");
    reading = next(reading, 1.5, STOPPED_MAX_MS);
    assert.deepEqual(reading, { kind: "least" });
    assert.equal(readingBytes(reading, 64 * MIB), READING_BYTES_MIN);
    assert.equal(next(reading, 1.5, STOPPED_MAX_MS * 9), reading);
    assert.deepEqual(next(reading, 0.9), { kind: "reduced", halvings: HALVINGS_MAX });
  });
});

suite("readingBytes()", () => {
  test("is never more than the budget, also where that is less than the least", () => {
    assert.equal(readingBytes(FIRST_READING, 1_000), 1_000);
  });
});

suite("memoryLimitBytes()", () => {
  const given = (configuredBytes: number | undefined, constrainedBytes: number) =>
    memoryLimitBytes({ configuredBytes, constrainedBytes, machineBytes: 8 * 1024 * MIB });

  test("is what the config says, else a part of what the cgroup may take, else none", () => {
    assert.equal(given(300 * MIB, 200 * MIB), 300 * MIB);
    assert.equal(given(undefined, 200 * MIB), Math.floor(200 * MIB * CGROUP_SHARE));
    assert.equal(given(undefined, 0), undefined);
    assert.equal(given(undefined, 2 ** 63), undefined);
  });
});

suite("fullReadingBytes()", () => {
  test("leaves the most of what is free to what reading brings along", () => {
    const given = { limitBytes: 228 * MIB, rssBytes: 100 * MIB, maxInFlightBytes: 64 * MIB };
    assert.equal(fullReadingBytes(given), 32 * MIB);
    assert.equal(fullReadingBytes({ ...given, limitBytes: 4096 * MIB }), 64 * MIB);
  });

  test("refuses a limit that leaves nothing to read with, naming both sizes", () => {
    const given = { limitBytes: 110 * MIB, rssBytes: 100 * MIB, maxInFlightBytes: 64 * MIB };
    assert.throws(() => fullReadingBytes(given), {
      code: "EMEMORY",
      message: `Cannot keep memory.max: it is ${110 * MIB} bytes, expected at least ${116 * MIB}: the agent takes ${100 * MIB} bytes before it reads anything`,
    });
  });
});
