import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pino } from "pino";
import {
  COLLECT_ABOVE_MS,
  MemoryLimit,
  type MemoryLimitOptions,
  SAMPLE_MS,
  SAY_AGAIN_MS,
} from "../../../logagent/memory/memory-limit.ts";
import { HALVINGS_MAX, READING_BYTES_MIN, STOPPED_MAX_MS } from "../../../logagent/memory/reading.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

const FULL = 64 * 1024 * 1024;
const LIMIT = 1_000;

/** A limit over a process whose memory is what the test says. */
function bed() {
  const clock = new SettlingClock();
  const world = {
    rssBytes: 0,
    garbageBytes: 0,
    collections: 0,
    budgets: [] as number[],
    logged: [] as string[],
  };
  const options: MemoryLimitOptions = {
    limitBytes: LIMIT,
    fullBytes: FULL,
    onBudget: (bytes) => void world.budgets.push(bytes),
    clock,
    logger: pino({ base: null }, { write: (line) => void world.logged.push(JSON.parse(line).msg) }),
    rssBytes: () => world.rssBytes + world.garbageBytes,
    collect: () => {
      world.collections += 1;
      world.garbageBytes = 0;
    },
  };
  return { clock, world, limit: MemoryLimit.start(options) };
}

suite("MemoryLimit", () => {
  test("gives reading little at first, and twice as much each sample while there is room", async () => {
    const { clock, world, limit } = bed();
    assert.deepEqual(world.budgets, [READING_BYTES_MIN]);
    await clock.advance(SAMPLE_MS * HALVINGS_MAX);
    assert.deepEqual(
      world.budgets,
      [4, 8, 16, 32, 64].map((mib) => mib * 1024 * 1024),
    );
    assert.deepEqual(world.logged, []);
    await limit[Symbol.asyncDispose]();
  });

  test("stops reading above the limit, collects garbage, and goes on when that was enough", async () => {
    const { clock, world, limit } = bed();
    await clock.advance(SAMPLE_MS * HALVINGS_MAX);
    world.rssBytes = 1_001;
    await clock.advance(SAMPLE_MS);
    assert.equal(world.budgets.at(-1), 0);
    assert.equal(limit.state.reading, "stopped");
    assert.equal(limit.state.readingShare, 0);
    world.rssBytes = 500;
    world.garbageBytes = 501;
    await clock.advance(COLLECT_ABOVE_MS);
    assert.equal(world.collections, 2);
    assert.notEqual(world.budgets.at(-1), 0);
    assert.deepEqual(world.logged.slice(0, 2), [
      "memory is above its limit, nothing is read until it is below",
      "memory is near its limit, less is read at a time",
    ]);
    await limit[Symbol.asyncDispose]();
  });

  test("speaks of memory that goes up and down about its limit once a minute", async () => {
    const { clock, world, limit } = bed();
    for (let i = 0; i < 100; i++) {
      world.rssBytes = i % 2 === 0 ? 1_001 : 940;
      await clock.advance(SAMPLE_MS);
    }
    assert.equal(world.logged.length, 2);
    world.rssBytes = 1_001;
    await clock.advance(SAY_AGAIN_MS);
    assert.ok(world.logged.length > 2);
    await limit[Symbol.asyncDispose]();
  });

  test("goes on at the least when to stop does not help, and says so as an error, once", async () => {
    const { clock, world, limit } = bed();
    world.rssBytes = 2_000;
    await clock.advance(STOPPED_MAX_MS * 3);
    assert.deepEqual([world.budgets.at(-1), limit.state.reading], [READING_BYTES_MIN, "least"]);
    assert.equal(world.logged.filter((msg) => msg.startsWith("memory stays above")).length, 1);
    await limit[Symbol.asyncDispose]();
  });

  test("takes no sample once it is disposed of", async () => {
    const { clock, world, limit } = bed();
    await limit[Symbol.asyncDispose]();
    world.rssBytes = 2_000;
    await clock.advance(STOPPED_MAX_MS);
    assert.equal(world.collections, 0);
  });
});
