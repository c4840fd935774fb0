import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RECORD_KEEP_MS } from "../../logagent/checkpoint/long-gone.ts";
import { MOVED_SCAN_MS } from "../../logagent/source/moved-search.ts";
import { openTailedFile } from "../../logagent/source/open-tailed-file.ts";
import { LINGER_MS } from "../../logagent/source/rotation.ts";
import { keyOf } from "../../logagent/source/tailed-file.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

/** Ends the source and starts another on the checkpoints that the first one left. */
async function restart(bed: SourceBed, running: Running): Promise<Running> {
  await bed.stop(running);
  await bed.checkpoints.close();
  await bed.openCheckpoints();
  bed.sink.forget();
  bed.sink.arrived.length = 0;
  return bed.start(running.context.entry);
}

/** Some seconds in which the clock tells the time that the files' births go by. */
async function runByTheWall(bed: SourceBed, running: Running): Promise<void> {
  for (let ms = 0; ms <= 3_000; ms += STEP_MS) {
    bed.clock.wallOffsetMs = Date.now() - bed.clock.monotonicMs();
    await bed.step(running, STEP_MS);
  }
}
const STEP_MS = 50;

suite("TailSource after a restart", () => {
  test("goes on at the acknowledged offset, under the same id", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n2\n");
    let running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    bed.sink.ackAll();
    appendFileSync(bed.path("a.log"), "3\n");
    await bed.step(running, 250);
    const id = bed.sink.arrived[0]?.fileId;
    running = await restart(bed, running);
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["3"]);
    assert.equal(bed.sink.arrived[0]?.fileId, id);
    await bed.stop(running);
  });

  test("goes on with a renamed file before its successor, also where the pattern does not match it", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    await bed.stop(running);
    appendFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "3\n");
    running = await restart(bed, running);
    await bed.run(running, 4000);
    assert.deepEqual(bed.sink.lines(), ["2", "3"]);
    assert.deepEqual(
      bed.sink.arrived.map((line) => line.path),
      [bed.path("a.log"), bed.path("a.log")],
    );
    await bed.stop(running);
  });

  test("finds one that nobody saw at its path where the one before it was rotated to", async () => {
    await using bed = await SourceBed.open();
    mkdirSync(bed.path("old"));
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("a.log") });
    await runByTheWall(bed, running);
    renameSync(bed.path("a.log"), bed.path("old/a.log.1"));
    await runByTheWall(bed, running);
    await bed.stop(running);
    await sleep(2 * STEP_MS);
    writeFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("old/a.log.1"), bed.path("old/a.log.2"));
    renameSync(bed.path("a.log"), bed.path("old/a.log.1"));
    writeFileSync(bed.path("a.log"), "3\n");
    running = await restart(bed, running);
    await bed.run(running, 8_000);
    assert.deepEqual(bed.sink.lines(), ["2", "3"]);
    await bed.stop(running);
  });

  test("finds one that nobody saw at its path, after another content of the one before it", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("a.log") });
    await runByTheWall(bed, running);
    await bed.stop(running);
    await sleep(2 * STEP_MS);
    // What is minted for it is minted where it went.
    truncateSync(bed.path("a.log"), 0);
    renameSync(bed.path("a.log"), bed.path("a.log.2"));
    writeFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    running = await restart(bed, running);
    await runByTheWall(bed, running);
    writeFileSync(bed.path("a.log"), "3\n");
    await bed.run(running, 8_000);
    assert.deepEqual(bed.sink.lines(), ["2", "3"]);
    await bed.stop(running);
  });

  test("takes a file for another when it has the inode of the one that was found, and was born since", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("a.log") });
    const stats = statSync(bed.path("a.log"), { bigint: true });
    const options = { fromEnd: false, keepLane: false, holder: running, key: keyOf(stats) };
    const found = Object.assign(Object.create(stats), { birthtimeNs: stats.birthtimeNs - 1n });
    assert.equal(openTailedFile(bed.path("a.log"), running.context, { ...options, found }), "moved");
    await bed.run(running, 1_000);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });

  test("finds a renamed file also in a folder where a name leads nowhere", async () => {
    await using bed = await SourceBed.open();
    symlinkSync("loop", bed.path("loop"));
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    await bed.stop(running);
    appendFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    running = await restart(bed, running);
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["2"]);
    await bed.stop(running);
  });

  test("knows a file that has long been in another folder of the pattern, and ships it only once", async () => {
    await using bed = await SourceBed.open();
    mkdirSync(bed.path("old"));
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("**") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("old/a.log"));
    await bed.run(running, LINGER_MS + 4000);
    await bed.step(running, RECORD_KEEP_MS);
    writeFileSync(bed.path("b.log"), "2\n");
    await bed.step(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    running = await restart(bed, running);
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), []);
    await bed.stop(running);
  });

  test("reads another file from its start that has the inode of one that is gone", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "banner\n1\n");
    let running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    await bed.stop(running);
    // The same head, and longer than what was shipped; the filesystem gives a freed inode to the next file, mostly.
    unlinkSync(bed.path("a.log"));
    writeFileSync(bed.path("a.log"), "banner\n2\n3\n");
    running = await restart(bed, running);
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["banner", "2", "3"]);
    await bed.stop(running);
  });

  test("reads a rewritten file from its start, and says what was lost", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n2\n3\n");
    let running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    await bed.stop(running);
    writeFileSync(bed.path("a.log"), "x\ny\nz\nlonger\n");
    running = await restart(bed, running);
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["x", "y", "z", "longer"]);
    assert.equal(running.context.totals.bytesLost, 6);
    const [loss] = bed.logged.filter((line) => line.msg === "bytes are lost");
    assert.deepEqual(
      { ...(loss?.loss as object), file: "", noticedAtMs: 0 },
      {
        file: "",
        path: bed.path("a.log"),
        entry: bed.path("a.log"),
        topic: "t",
        from: 0,
        to: 6,
        reason: "replaced while the agent was down",
        noticedAtMs: 0,
      },
    );
    await bed.stop(running);
  });

  test("says once what was lost of a file that is gone", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n2\n3\n");
    let running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    await bed.stop(running);
    unlinkSync(bed.path("a.log"));
    running = await restart(bed, running);
    await bed.step(running);
    assert.equal(running.context.totals.bytesLost, 6);
    running = await restart(bed, running);
    await bed.step(running);
    assert.equal(running.context.totals.bytesLost, 0);
    await bed.stop(running);
  });

  test("reads every file again when no checkpoints can be used, also for from: end", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    let running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), []);
    await bed.stop(running);
    await bed.checkpoints.close();
    rmSync(`${bed.folder}/checkpoints`, { recursive: true });
    mkdirSync(`${bed.folder}/checkpoints`);
    writeFileSync(`${bed.folder}/checkpoints/checkpoints`, "rubbish");
    await bed.openCheckpoints();
    running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });
});

suite("TailSource", () => {
  test("from: end skips what was there when the entry came, but not a line that is being written", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\nthr");
    let running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.step(running);
    appendFileSync(bed.path("a.log"), "ee\n");
    writeFileSync(bed.path("b.log"), "new\n");
    await bed.step(running, 1000);
    assert.deepEqual(bed.sink.lines().sort(), ["new", "three"]);
    await bed.stop(running);
    writeFileSync(bed.path("c.log"), "while it was down\n");
    running = await restart(bed, running);
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["while it was down"]);
    await bed.stop(running);
  });

  test("ships what a deleted file still held, and lets it go", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    bed.sink.closeTopic("t");
    await running.source.poll();
    unlinkSync(bed.path("a.log"));
    bed.clock.advance(1000);
    await running.source.poll();
    bed.sink.openTopic("t");
    await bed.run(running, 3000);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    assert.equal(running.source.openFiles, 1);
    await bed.run(running, LINGER_MS + 2000);
    assert.equal(running.source.openFiles, 0);
    await bed.run(running, MOVED_SCAN_MS);
    assert.deepEqual([...bed.checkpoints.records()], []);
    await bed.stop(running);
  });

  test("ships late growth of a rotated file, with a warning that order is lost", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("a.log*") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "2\n");
    await bed.run(running, 4000);
    appendFileSync(bed.path("a.log.1"), "late\n");
    await bed.run(running, 500);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "late"]);
    const warned = bed.logged.filter((line) => line.msg.startsWith("rotated file grows again"));
    assert.equal(warned.length, 1);
    await bed.run(running, LINGER_MS + 5000);
    assert.equal(running.source.openFiles, 1, "the rotated file is let go");
    appendFileSync(bed.path("a.log.1"), "much later\n");
    await bed.run(running, 1500);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "late", "much later"]);
    await bed.stop(running);
  });

  test("notices a rewrite to the same size by the times", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    writeFileSync(bed.path("a.log"), "3\n4\n");
    utimesSync(bed.path("a.log"), 1, 1);
    await bed.run(running, 500);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("cuts a line longer than maxLineBytes into parts, counts and says so", async () => {
    await using bed = await SourceBed.open();
    const long = "x".repeat(200_000);
    writeFileSync(bed.path("a.log"), `short\n${long}\nshort\n`);
    const running = bed.start({ path: bed.path("a.log"), maxLineBytes: 65_536 });
    await bed.step(running);
    const lines = bed.sink.lines();
    assert.deepEqual(
      lines.map((line) => line.length),
      [5, 65_536, 65_536, 65_536, 3392, 5],
    );
    assert.equal(lines.slice(1, 5).join(""), long);
    assert.equal(running.context.totals.linesCut, 3);
    assert.equal(bed.logged.filter((line) => line.msg.startsWith("line is longer")).length, 1);
    await bed.stop(running);
  });

  test("moves the checkpoint only over contiguous acknowledged bytes", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    const running = bed.start({ path: bed.path("a.log") });
    for (const line of ["1\n", "22\n", "333\n"]) {
      appendFileSync(bed.path("a.log"), line);
      await bed.step(running, 1000);
    }
    const offset = () => [...bed.checkpoints.records()][0]?.offset;
    bed.sink.ack(1);
    assert.equal(offset(), 0);
    bed.sink.ack(1);
    assert.equal(offset(), 0);
    bed.sink.ack(0);
    assert.equal(offset(), 9);
    await bed.stop(running);
  });
});
