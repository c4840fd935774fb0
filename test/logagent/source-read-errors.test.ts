import assert from "node:assert/strict";
import {
  appendFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { CodedError } from "../../base/errors.ts";
import { followPaths } from "../../logagent/source/follow-paths.ts";
import { MOVED_SCAN_MS } from "../../logagent/source/moved-search.ts";
import { READ_RETRY_MAX_MS, READ_RETRY_MS } from "../../logagent/source/read-trouble.ts";
import { ROTATE_WAIT_MAX_MS } from "../../logagent/source/rotation.ts";
import { watchFs } from "../model/watched-fs.ts";
import { checkWritten } from "../model/written-accounts.ts";
import { SourceBed } from "../support/source-bed.ts";
import {
  compress,
  kernelTick,
  numbered,
  openCase,
  rotateTo,
  SETTLED_MS,
  text,
} from "./peer-cases/tail-case.ts";

const PAGE_BYTES = 4096;
const LINE = `${"x".repeat(99)}\n`;

/** A disk on which a page of one file cannot be read: a read ends before it, and one that begins in it fails, as the kernel has it. */
class BadPage implements Disposable {
  reads = 0;
  #isBad = true;

  constructor(path: string, page: number, { hasBirths = true } = {}) {
    const from = page * PAGE_BYTES;
    watchFs({
      looked: (stats) => {
        if (!hasBirths && "birthtimeNs" in stats) stats.birthtimeNs = 0n;
      },
      readable: (fd, position, bytes) => {
        if (!this.#isBad || position >= from + PAGE_BYTES || position + bytes <= from) return bytes;
        const at = readlinkSync(`/proc/self/fd/${fd}`);
        if (!at.startsWith(path) || at.endsWith(".gz")) return bytes;
        this.reads += 1;
        if (position < from) return from - position;
        throw new CodedError("EIO", "EIO: i/o error, read");
      },
    });
  }

  heal(): void {
    this.#isBad = false;
  }

  fail(): void {
    this.#isBad = true;
  }

  [Symbol.dispose](): void {
    watchFs(undefined);
  }
}

/** Of each loss record, in the order in which they were written. */
function lostRanges(bed: SourceBed): { from: number; to: number | "unknown" }[] {
  return bed.checkpoints.newestLosses.map(({ from, to }) => ({ from, to })).toReversed();
}

suite("TailSource with a disk that cannot read", () => {
  for (const [what, lines, page] of [
    ["the first page", 200, 0],
    ["a page that a small read comes to", 200, 2],
    ["a page that a large read comes to", 3_000, 60],
    ["a page behind the first large read", 30_000, 500],
  ] as const) {
    test(`says so at ${what}, skips and loses nothing, and goes on when it can`, async () => {
      await using bed = await SourceBed.open();
      const all = Array.from({ length: lines }, (_, index) => `${String(index).padStart(99, "0")}\n`);
      writeFileSync(bed.path("a.log"), all.join(""));
      writeFileSync(bed.path("b.log"), "b\n");
      using bad = new BadPage(bed.path("a.log"), page);
      const running = bed.start({ path: bed.path("*.log") });
      await bed.run(running, 5_000);
      const whole = Math.floor((page * PAGE_BYTES) / 100);
      assert.equal(bed.sink.lines().length, whole + 1, "the lines before the page, and the other file");
      const [problem = ""] = running.context.problems.list();
      const expected = `Cannot ship ${bed.path("a.log")} from byte ${whole * 100} on: EIO: i/o error, read`;
      assert.ok(problem.startsWith(expected), problem);
      assert.equal(running.context.problems.list().length, 1);
      appendFileSync(bed.path("b.log"), "others go on\n");
      await bed.run(running, 1_000);
      assert.ok(bed.sink.lines().includes("others go on"));
      bad.heal();
      await bed.run(running, READ_RETRY_MAX_MS);
      const arrived = bed.sink.lines().filter((line) => line.length === 99);
      assert.deepEqual(
        arrived,
        all.map((line) => line.trimEnd()),
      );
      assert.deepEqual(running.context.problems.list(), []);
      const { bytesLost, lossesUnknown } = running.context.totals;
      assert.deepEqual({ bytesLost, lossesUnknown }, { bytesLost: 0, lossesUnknown: 0 });
      await bed.stop(running);
    });
  }

  test("does not take bytes that it cannot compare for other ones", async () => {
    await using bed = await SourceBed.open();
    // What is compared before the end reaches over two pages.
    writeFileSync(bed.path("a.log"), LINE.repeat(123));
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    assert.equal(bed.sink.lines().length, 123);
    using bad = new BadPage(bed.path("a.log"), 3);
    utimesSync(bed.path("a.log"), 1, 1);
    await bed.run(running, 3_000);
    assert.equal(running.context.problems.list().length, 1);
    appendFileSync(bed.path("a.log"), LINE);
    await bed.run(running, 3_000);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 124);
    assert.equal(new Set(bed.sink.arrived.map(({ fileId }) => fileId)).size, 1);
    assert.equal(running.context.totals.lossesUnknown, 0);
    await bed.stop(running);
  });

  test("is asked less and less often, also by a file that grows", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE.repeat(200));
    using bad = new BadPage(bed.path("a.log"), 2);
    const running = bed.start({ path: bed.path("a.log") });
    for (let passed = 0; passed < 60_000; passed += 250) {
      appendFileSync(bed.path("a.log"), LINE);
      running.source.hint({ kind: "content", path: bed.path("a.log") });
      await bed.step(running, 250);
    }
    // At 0, 1, 3, 7, 15, 31 and 61 s; each try comes to the page, and asks once more.
    assert.ok(bad.reads <= 7 * 2, `${bad.reads} reads in a minute`);
    assert.ok(bad.reads >= 4 * 2, `${bad.reads} reads in a minute`);
    await bed.stop(running);
  });

  test("a rotated file that cannot be read keeps its successor waiting for a minute", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE.repeat(200));
    using bad = new BadPage(bed.path("a.log"), 2);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 1_000);
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "next\n");
    await bed.run(running, 20_000);
    assert.ok(!bed.sink.lines().includes("next"));
    await bed.run(running, ROTATE_WAIT_MAX_MS);
    assert.ok(bed.sink.lines().includes("next"));
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 201);
    assert.equal(running.context.totals.bytesLost, 0);
    await bed.stop(running);
  });

  test("is not taken for over when a file is stopped before it is read", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE.repeat(200));
    using _ = new BadPage(bed.path("a.log"), 2);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    const [file] = running.source.files;
    assert.equal(file?.failedReads, 1);
    bed.chunks.resize(0);
    bed.clock.advance(READ_RETRY_MS);
    await running.source.poll();
    assert.notEqual(file.shipping, undefined);
    file.abort.abort(new Error("the topic takes nothing"));
    await running.source.idle();
    assert.equal(file.failedReads, 1);
    assert.equal(running.context.problems.list().length, 1);
    await bed.stop(running);
  });

  // Seed 341 of the model: the poll ended there, and came to no file behind it.
  test("a file that waits behind a rotated one, and whose end cannot be read, keeps no poll from the others", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("[ab].log") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("old"));
    writeFileSync(bed.path("a.log"), LINE.repeat(200));
    writeFileSync(bed.path("b.log"), "b\n");
    using bad = new BadPage(bed.path("a.log"), 4);
    await bed.run(running, 1_000);
    assert.ok(bed.sink.lines().includes("b"));
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 202);
    await bed.stop(running);
  });

  test("a file that was rotated while the agent was down, and that cannot be read when it is found, is shipped before its successor", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const before = bed.start({ path: bed.path("a.log") });
    await bed.step(before);
    await bed.stop(before);
    appendFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "3\n");
    using bad = new BadPage(bed.path("a.log.1"), 0);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 20_000);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    assert.equal(running.context.totals.lossesUnknown, 0);
    await bed.stop(running);
  });

  // Seed 2143 of the model: its descriptor was dropped on the way.
  test("a deleted file that passes to another task while it cannot be read is shipped by that one", async () => {
    await using bed = await SourceBed.open();
    const path = bed.path("a.log");
    writeFileSync(path, "1\n");
    await followPaths([{ path, topic: "t" }], bed.deps);
    const before = bed.start({ path });
    await bed.step(before);
    bed.sink.closeTopic("t");
    appendFileSync(path, "2\n");
    bed.clock.advance(250);
    await before.source.poll();
    rmSync(path);
    using bad = new BadPage(path, 0);
    await followPaths([{ path, topic: "t2" }], bed.deps);
    await bed.stop(before);
    const after = bed.start({ path, topic: "t2" });
    await bed.run(after, 1_000);
    bad.heal();
    await bed.run(after, READ_RETRY_MAX_MS);
    assert.deepEqual(bed.sink.lines("t2"), ["2"]);
    assert.deepEqual(bed.checkpoints.newestLosses, []);
    await bed.stop(after);
  });

  // Seed 1961 of the model: the record of the loss ended before it began.
  test("what was cut off while it could not be read is lost as far as it was seen", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    using bad = new BadPage(bed.path("a.log"), 0);
    appendFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(running, 500);
    writeFileSync(bed.path("a.log"), "short\n");
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.deepEqual(bed.sink.lines(), ["short"]);
    assert.deepEqual(lostRanges(bed), [
      { from: 6, to: 200 },
      { from: 0, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 20964 of the model: only the size of the look before was known.
  test("what was cut off is lost as far as it was seen also when several looks could not read it", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    using bad = new BadPage(bed.path("a.log"), 0);
    appendFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(running, 500);
    writeFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(running, 20_000);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 2);
    assert.deepEqual(lostRanges(bed), [
      { from: 200, to: 300 },
      { from: 100, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 703916 of the model: only its own looks counted, which come late then.
  test("what was cut off is lost also as far as scans have seen it while it waited to be tried again", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE);
    using bad = new BadPage(bed.path("a.log"), 0);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 4_000);
    appendFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(running, 2_000);
    assert.equal(bad.reads, 4, "it was not tried since it has grown");
    writeFileSync(bed.path("a.log"), LINE.repeat(2));
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 2);
    assert.deepEqual(lostRanges(bed), [
      { from: 200, to: 300 },
      { from: 0, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 605340 of the model: it was not held, and nothing said that it had been there.
  test("a file that cannot be read when it is found, and whose birth nobody knows, is shipped though it is deleted meanwhile", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE);
    using bad = new BadPage(bed.path("a.log"), 0, { hasBirths: false });
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 1_000);
    rmSync(bed.path("a.log"));
    await bed.run(running, 1_000);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 1);
    assert.deepEqual(bed.checkpoints.newestLosses, []);
    await bed.stop(running);
  });

  // Seed 607893 of the model.
  test("a file that was empty, cannot be read after a restart, and whose birth nobody knows, is lost as far as it was seen when it is cut off", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "");
    using bad = new BadPage(bed.path("a.log"), 0, { hasBirths: false });
    const before = bed.start({ path: bed.path("a.log") });
    await bed.step(before);
    await bed.stop(before);
    appendFileSync(bed.path("a.log"), LINE);
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 1_000);
    writeFileSync(bed.path("a.log"), "");
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.deepEqual(lostRanges(bed), [
      { from: 0, to: 100 },
      { from: 0, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 718148 of the model.
  test("a file with a known head that cannot be read after a restart, and whose birth nobody knows, is lost as far as it was seen when it is cut off", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE.slice(0, 20));
    using bad = new BadPage(bed.path("a.log"), 0, { hasBirths: false });
    bad.heal();
    const before = bed.start({ path: bed.path("a.log") });
    await bed.step(before);
    await bed.stop(before);
    appendFileSync(bed.path("a.log"), LINE.slice(20) + LINE);
    bad.fail();
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 2_000);
    truncateSync(bed.path("a.log"), LINE.length);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines().length, 1);
    assert.deepEqual(lostRanges(bed), [
      { from: 100, to: 200 },
      { from: 0, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 1209189 of the model: the task that saw it took that with it.
  test("what was cut off while it could not be read is lost as far as another task has seen it", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE);
    using bad = new BadPage(bed.path("a.log"), 0);
    bad.heal();
    const before = bed.start({ path: bed.path("a.log") });
    await bed.step(before);
    bad.fail();
    appendFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(before, 2_000);
    await bed.stop(before);
    truncateSync(bed.path("a.log"), 2 * LINE.length);
    const running = bed.start({ path: bed.path("a.log"), topic: "u" });
    await bed.run(running, 2_000);
    bad.heal();
    await bed.run(running, READ_RETRY_MAX_MS);
    assert.equal(bed.sink.lines("u").length, 1);
    assert.deepEqual(lostRanges(bed), [
      { from: 200, to: 300 },
      { from: 100, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 1606346 of the model.
  test("what was there while it could not be read is lost when the file is gone before the next task", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), LINE);
    using bad = new BadPage(bed.path("a.log"), 0);
    bad.heal();
    const before = bed.start({ path: bed.path("a.log") });
    await bed.step(before);
    bad.fail();
    appendFileSync(bed.path("a.log"), LINE.repeat(2));
    await bed.run(before, 2_000);
    await bed.stop(before);
    rmSync(bed.path("a.log"));
    const running = bed.start({ path: bed.path("a.log") });
    await bed.run(running, 20_000);
    assert.deepEqual(lostRanges(bed), [
      { from: 100, to: 300 },
      { from: 300, to: "unknown" },
    ]);
    await bed.stop(running);
  });

  // Seed 700146 of the model: it got another record with each scan, and what was seen of it was counted each time.
  test("a file that cannot be read, and whose birth nobody knows, is counted once though it waits for a descriptor", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    writeFileSync(bed.path("a.log"), LINE);
    using _ = new BadPage(bed.path("b.log"), 0, { hasBirths: false });
    const running = bed.start({ path: bed.path("*.log") });
    await bed.run(running, 1_000);
    writeFileSync(bed.path("b.log"), LINE);
    await bed.run(running, 5_000);
    await bed.stop(running);
    await bed.checkpoints.persisted();
    await checkWritten(bed.disk, bed.checkpoints.folder);
  });

  // Seed 601419 of the model: it could not be told from what the other is made of, and the path was taken for one that had been seen.
  test("a generation that nobody saw before it was compressed is shipped though a file beside it cannot be read for a time", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    await bed.run(running, SETTLED_MS);
    const names = (generation: number) => `app.log.${generation}`;
    for (const from of [10, 20]) {
      await kernelTick();
      rotateTo(bed, names);
      await kernelTick();
      writeFileSync(bed.path("app.log"), text(numbered("app", from, 10)));
    }
    await kernelTick();
    compress(bed.path("app.log.1"), "gz");
    writeFileSync(bed.path("app.log.1"), "other\n");
    using bad = new BadPage(bed.path("app.log.1"), 0);
    await bed.run(running, 2 * MOVED_SCAN_MS);
    bad.heal();
    await bed.run(running, MOVED_SCAN_MS + READ_RETRY_MAX_MS);
    const lines = bed.sink.lines().filter((line) => line !== "other");
    assert.deepEqual(lines.toSorted(), numbered("app", 0, 30).toSorted());
    assert.deepEqual(bed.checkpoints.newestLosses, []);
    await bed.stop(running);
  });

  // Seed 708399 of the model: what was held could not be told from it, as large as it was.
  test("a generation that nobody saw before it was compressed is shipped though one as large is held and cannot be read", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    await bed.run(running, SETTLED_MS);
    for (const from of [10, 20, 30]) {
      await kernelTick();
      rotateTo(bed, (generation) => `app.log.${generation}`);
      await kernelTick();
      writeFileSync(bed.path("app.log"), text(numbered("app", from, 10)));
    }
    compress(bed.path("app.log.2"), "gz");
    using bad = new BadPage(bed.path("app.log.1"), 0);
    await bed.run(running, 2 * MOVED_SCAN_MS);
    bad.heal();
    await bed.run(running, MOVED_SCAN_MS + READ_RETRY_MAX_MS);
    assert.deepEqual(bed.sink.lines().toSorted(), numbered("app", 0, 40).toSorted());
    assert.deepEqual(bed.checkpoints.newestLosses, []);
    await bed.stop(running);
  });
});
