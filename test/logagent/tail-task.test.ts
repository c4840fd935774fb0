import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../base/clock.ts";
import { SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { startTailTask } from "../../logagent/task/tail-task.ts";
import type { TailTask } from "../../logagent/task/types.ts";
import { SourceBed } from "../support/source-bed.ts";

const NEVER = new AbortController().signal;
const WAIT_MS = 10_000;

/** Tasks run on the machine's clock. */
function start(bed: SourceBed, fields: Parameters<SourceBed["entry"]>[0]): TailTask {
  return startTailTask(bed.entry(fields), { ...bed.deps, clock: systemClock });
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS; !isTrue(); await pause(5)) {
    assert.ok(performance.now() < endMs, `${what}, within ${WAIT_MS} ms`);
  }
}

suite("startTailTask()", () => {
  test("ships what is there and what is appended, and counts it", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\npart");
    const task = start(bed, { path: bed.path("*.log") });
    assert.equal(task.status.state, "starting");
    await until("two lines arrive", () => bed.sink.lines().length === 2);
    appendFileSync(bed.path("a.log"), "\n");
    await until("the third line arrives", () => bed.sink.lines().length === 3);
    const { state, files, bytesRead, bytesAcked, linesAcked, bytesBehind, problems } = task.status;
    assert.deepEqual(
      { state, files, bytesRead, bytesAcked, linesAcked, bytesBehind, problems },
      {
        state: "running",
        files: 1,
        bytesRead: 9,
        bytesAcked: 9,
        linesAcked: 3,
        bytesBehind: 0,
        problems: [],
      },
    );
    await task.stop({ drain: true, signal: NEVER });
    assert.equal(task.status.state, "stopped");
  });

  test("counts what is read while the destination takes nothing, as the account of the file does", async () => {
    await using bed = await SourceBed.open();
    bed.sink.closeTopic("t");
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const task = start(bed, { path: bed.path("*.log") });
    await until("it is read", () => task.status.bytesRead > 0);
    const [record] = bed.checkpoints.records();
    assert.deepEqual([task.status.bytesRead, record?.account.read, task.status.bytesAcked], [4, 4, 0]);
    await task.stop({ drain: false, signal: NEVER });
  });

  test("stop() with drain waits for acknowledgements, and writes the checkpoints", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const task = start(bed, { path: bed.path("*.log") });
    await until("two lines arrive", () => bed.sink.lines().length === 2);
    let isStopped = false;
    const stopped = task.stop({ drain: true, signal: NEVER }).then(() => {
      isStopped = true;
    });
    await pause(20);
    assert.ok(!isStopped);
    bed.sink.ackAll();
    await stopped;
    await bed.openCheckpoints();
    assert.equal([...bed.checkpoints.records()][0]?.offset, 4);
  });

  test("stop() with drain gives up when its signal is aborted, and loses nothing", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const task = start(bed, { path: bed.path("*.log") });
    await until("two lines arrive", () => bed.sink.lines().length === 2);
    await task.stop({ drain: true, signal: AbortSignal.timeout(10) });
    bed.sink.ackAll();
    await bed.openCheckpoints();
    assert.equal([...bed.checkpoints.records()][0]?.offset, 0);
  });

  test("stop() ends a delivery that the sink does not take", async () => {
    await using bed = await SourceBed.open();
    bed.sink.closeTopic("t");
    writeFileSync(bed.path("a.log"), "1\n");
    const task = start(bed, { path: bed.path("*.log") });
    await until("the task waits", () => task.status.oldestUnackedAgeMs > 0);
    assert.equal(task.status.state, "waiting");
    assert.deepEqual(task.status.problems, ["Cannot deliver to topic t: it is closed"]);
    assert.equal(task.status.bytesBehind, 2);
    await task.stop({ drain: true, signal: NEVER });
    assert.deepEqual(bed.sink.lines(), []);
    assert.equal(bed.chunks.heldBytes, 0);
  });

  test("a topic that takes nothing does not keep other tasks from reading", async () => {
    // Room for two chunks, and four tasks that are stuck with several files each.
    await using bed = await SourceBed.open({ chunkPoolBytes: 2 * SMALL_CHUNK_BYTES });
    bed.sink.closeTopic("dead");
    for (let i = 0; i < 12; i++) writeFileSync(bed.path(`dead.${i % 4}.${i}`), "dead\n");
    writeFileSync(bed.path("alive"), "alive\n");
    const dead = [0, 1, 2, 3].map((i) => start(bed, { path: bed.path(`dead.${i}.*`), topic: "dead" }));
    await until("the pool is used up", () => bed.chunks.waiting > 0);
    const alive = start(bed, { path: bed.path("alive"), topic: "alive" });
    await until("the other task ships", () => bed.sink.lines("alive").length === 1);
    bed.sink.openTopic("dead");
    await until("the dead one comes back", () => bed.sink.lines("dead").length === 12);
    await Promise.all([...dead, alive].map((task) => task.stop({ drain: true, signal: NEVER })));
  });
});
