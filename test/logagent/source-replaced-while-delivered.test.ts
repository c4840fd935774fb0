import assert from "node:assert/strict";
import { appendFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { nodeDisk } from "../../base/node-disk.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { LossRecord } from "../../logagent/checkpoint/loss.ts";
import { LARGE_CHUNK_BYTES, SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { tailStatus } from "../../logagent/task/tail-status.ts";
import { watchFs } from "../model/watched-fs.ts";
import { checkWritten } from "../model/written-accounts.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

const LINE = `${"x".repeat(149)}\n`;
const NEW_LINE = "new\n";

/** A file of three chunks, of which the first waits for a topic that takes nothing. */
async function waitingForTopic(fields: Partial<Entry> = {}) {
  const bed = await SourceBed.open();
  const path = bed.path("a.log");
  writeFileSync(path, LINE.repeat((3 * LARGE_CHUNK_BYTES) / LINE.length));
  bed.sink.closeTopic("t");
  const running = bed.start({ path, ...fields });
  await running.source.poll();
  const [file] = running.source.files;
  assert.ok(file !== undefined, "it is held");
  while (file.deliveringSinceMs === undefined) await nextTurn();
  return { bed, running, file, path, seen: statSync(path).size };
}

function copytruncate(path: string): void {
  truncateSync(path);
  appendFileSync(path, NEW_LINE);
}

async function look(bed: SourceBed, { source }: Running): Promise<void> {
  bed.clock.advance(250);
  await source.poll();
}

/** Ranges, in the order in which they were said. */
function said(bed: SourceBed): readonly (readonly [number, number | "unknown"])[] {
  return bed.logged.flatMap(({ loss }) => {
    if (loss === undefined) return [];
    const { from, to } = loss as LossRecord;
    return [[from, to] as const];
  });
}

async function assertAddsUp(bed: SourceBed): Promise<void> {
  await bed.checkpoints.persisted();
  await checkWritten(nodeDisk, join(bed.folder, "checkpoints"));
}

suite("A file that is replaced while a delivery of it waits", () => {
  test("has lost at once what is not in the chunk that is delivered, and the rest arrives", async () => {
    const { bed, running, file, path, seen } = await waitingForTopic();
    await using _ = bed;
    const before = file.record;
    copytruncate(path);
    await look(bed, running);
    assert.deepEqual(said(bed), [
      [LARGE_CHUNK_BYTES, seen],
      [seen, "unknown"],
    ]);
    const { bytesLost, lossesUnknown, bytesBehind } = tailStatus("running", running.context, running.source);
    assert.deepEqual([bytesLost, lossesUnknown], [seen - LARGE_CHUNK_BYTES, 1]);
    assert.equal(bytesBehind, LARGE_CHUNK_BYTES + NEW_LINE.length);
    assert.equal(before.seen - before.offset, LARGE_CHUNK_BYTES, "held");
    await assertAddsUp(bed);

    bed.sink.openTopic("t");
    await running.source.idle();
    await bed.run(running, 1_000);
    const whole = Math.floor(LARGE_CHUNK_BYTES / LINE.length);
    assert.deepEqual(bed.sink.lines(), [
      ...Array.from({ length: whole }, () => LINE.trimEnd()),
      NEW_LINE.trimEnd(),
    ]);
    // The line of which the chunk has the beginning.
    assert.deepEqual(said(bed).slice(2), [[whole * LINE.length, LARGE_CHUNK_BYTES]]);
    assert.equal(tailStatus("running", running.context, running.source).bytesBehind, 0);
    await assertAddsUp(bed);
    await bed.stop(running);
  });

  test("has lost the chunk as well when its delivery ends before the destination takes it", async () => {
    const { bed, running, path, seen } = await waitingForTopic();
    await using _ = bed;
    copytruncate(path);
    await look(bed, running);
    await bed.stop(running);
    assert.deepEqual(said(bed), [
      [LARGE_CHUNK_BYTES, seen],
      [seen, "unknown"],
      [0, LARGE_CHUNK_BYTES],
    ]);
    await assertAddsUp(bed);
  });

  test("has lost the chunk as well when the agent dies, which the next life says", async () => {
    const { bed, running, path, seen } = await waitingForTopic();
    await using _ = bed;
    copytruncate(path);
    await look(bed, running);
    await bed.checkpoints.persisted();
    running.source.close();
    await bed.openCheckpoints();
    await running.source.stop();
    bed.logged.length = 0;
    const next = bed.start({ path });
    await next.source.poll();
    assert.deepEqual(said(bed), [
      [0, LARGE_CHUNK_BYTES],
      [LARGE_CHUNK_BYTES, "unknown"],
    ]);
    assert.ok(seen > LARGE_CHUNK_BYTES);
    await assertAddsUp(bed);
    await bed.stop(next);
  });

  test("has lost what its rate limit has not let through yet", async () => {
    await using bed = await SourceBed.open();
    const path = bed.path("a.log");
    writeFileSync(path, LINE.repeat(1_000));
    const running = bed.start({ path, rateLimit: { linesPerSecond: 1 } });
    await running.source.poll();
    while (bed.sink.lines().length === 0) await nextTurn();
    const shipped = bed.sink.lines().length;
    copytruncate(path);
    await look(bed, running);
    assert.deepEqual(said(bed), [
      [shipped * LINE.length, 1_000 * LINE.length],
      [1_000 * LINE.length, "unknown"],
    ]);
    assert.equal(tailStatus("running", running.context, running.source).bytesBehind, NEW_LINE.length);
    await assertAddsUp(bed);
    await bed.stop(running);
  });

  test("sends nothing of a read that was under way, for it may be of the new content", async () => {
    await using bed = await SourceBed.open();
    const path = bed.path("a.log");
    const lines = Math.ceil(SMALL_CHUNK_BYTES / LINE.length) * 2;
    writeFileSync(path, LINE.repeat(lines));
    const running = bed.start({ path });
    let reads = 0;
    const rewrite = () => {
      reads += 1;
      if (reads > 1) return;
      // Beginning alike, it is told from the old one by its size alone.
      writeFileSync(path, LINE);
      bed.clock.advance(250);
      void running.source.poll();
    };
    watchFs({
      read: (_fd, _position, bytes) => (bytes > SMALL_CHUNK_BYTES ? rewrite() : undefined),
    });
    try {
      await bed.run(running, 1_000);
    } finally {
      watchFs(undefined);
    }
    assert.ok(reads > 0, "a large read was under way");
    assert.deepEqual(said(bed)[0], [0, lines * LINE.length]);
    assert.deepEqual(bed.sink.lines(), [LINE.trimEnd()]);
    await assertAddsUp(bed);
    await bed.stop(running);
  });
});
