import assert from "node:assert/strict";
import { appendFileSync, readlinkSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { CodedError } from "../../base/errors.ts";
import { READ_RETRY_MAX_MS, READ_RETRY_MS } from "../../logagent/source/read-trouble.ts";
import { ROTATE_WAIT_MAX_MS } from "../../logagent/source/rotation.ts";
import { watchFs } from "../model/watched-fs.ts";
import { SourceBed } from "../support/source-bed.ts";

const PAGE_BYTES = 4096;
const LINE = `${"x".repeat(99)}\n`;

/** A disk on which a page of one file cannot be read: a read ends before it, and one that begins in it fails, as the kernel has it. */
class BadPage implements Disposable {
  reads = 0;
  #isBad = true;

  constructor(path: string, page: number) {
    const from = page * PAGE_BYTES;
    const ignore = () => undefined;
    watchFs({
      beforeCall: ignore,
      looked: ignore,
      opened: ignore,
      closes: ignore,
      read: ignore,
      readable: (fd, position, bytes) => {
        if (!this.#isBad || position >= from + PAGE_BYTES || position + bytes <= from) return bytes;
        if (!readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)) return bytes;
        this.reads += 1;
        if (position < from) return from - position;
        throw new CodedError("EIO", "EIO: i/o error, read");
      },
    });
  }

  heal(): void {
    this.#isBad = false;
  }

  [Symbol.dispose](): void {
    watchFs(undefined);
  }
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
      // Of the first page nothing can be told, not even which file it is.
      const where =
        page === 0 ? `read ${bed.path("a.log")}` : `ship ${bed.path("a.log")} from byte ${whole * 100} on`;
      const [problem = ""] = running.context.problems.list();
      assert.ok(problem.startsWith(`Cannot ${where}: EIO: i/o error, read`), problem);
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
});
