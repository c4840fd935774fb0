import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mock, suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

const FILES = 50;

/** So many files, each of which has a chunk and waits for a topic that takes nothing, and no chunk is left. */
async function deliveringToClosedTopic(): Promise<{ bed: SourceBed; running: Running }> {
  const bed = await SourceBed.open({ chunkPoolBytes: FILES * SMALL_CHUNK_BYTES });
  for (let i = 0; i < FILES; i += 1) writeFileSync(bed.path(`${i}.log`), `line of ${i}\n`);
  bed.sink.closeTopic("t");
  const running = bed.start({ path: bed.path("*.log") });
  await running.source.poll();
  const isDelivering = () => [...running.source.files].every((file) => file.deliveringSinceMs !== undefined);
  while (!isDelivering()) await nextTurn();
  return { bed, running };
}

suite("StuckTopic", () => {
  test("aborts each file that ships once, however many of them wait", async () => {
    const { bed, running } = await deliveringToClosedTopic();
    await using _ = bed;
    const chunk = bed.chunks.acquire(1, { signal: new AbortController().signal });
    const aborts = mock.method(AbortController.prototype, "abort");
    try {
      bed.clock.advance(250);
      await running.source.poll();
      assert.equal(aborts.mock.callCount(), FILES);
      assert.equal(new Set(aborts.mock.calls.map((call) => call.arguments[0])).size, 1, "one error for all");
    } finally {
      aborts.mock.restore();
    }
    bed.chunks.release(await chunk);
    await bed.stop(running);
  });

  test("lets one file at a time try, which gives its chunk back as well, until the topic takes something", async () => {
    const { bed, running } = await deliveringToClosedTopic();
    await using _ = bed;
    const files = [...running.source.files];
    const shipping = () => files.filter((file) => file.shipping !== undefined).length;
    const { signal } = new AbortController();
    // Whoever waits for all of the pool waits for every chunk.
    const whole = () => bed.chunks.acquire(FILES * SMALL_CHUNK_BYTES, { signal });
    const first = whole();
    bed.clock.advance(250);
    await running.source.poll();
    bed.chunks.release(await first);
    await running.source.idle();
    bed.clock.advance(250);
    await running.source.poll();
    assert.equal(shipping(), 1);
    while (files.every(({ deliveringSinceMs }) => deliveringSinceMs === undefined)) await nextTurn();
    const second = whole();
    bed.clock.advance(250);
    await running.source.poll();
    bed.chunks.release(await second);
    await running.source.idle();
    bed.sink.openTopic("t");
    await bed.run(running, 1_000);
    assert.equal(bed.sink.lines().length, FILES);
    await bed.stop(running);
  });

  test("does not make a poll go through all files for each of them", async () => {
    const { bed, running } = await deliveringToClosedTopic();
    await using _ = bed;
    const chunk = bed.chunks.acquire(1, { signal: new AbortController().signal });
    bed.clock.advance(250);
    await running.source.poll();
    bed.chunks.release(await chunk);
    await running.source.idle();
    bed.clock.advance(250);
    const passes = mock.method(Map.prototype, "values");
    try {
      await running.source.poll();
      assert.ok(passes.mock.callCount() < FILES / 2, `${passes.mock.callCount()} times through all files`);
    } finally {
      passes.mock.restore();
    }
    await bed.stop(running);
  });
});
