import assert from "node:assert/strict";
import { appendFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SourceBed } from "../support/source-bed.ts";
import { losses } from "./peer-cases/tail-case.ts";

suite("TailSource", () => {
  test("poll() ships whole lines and holds an unfinished one", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "one\ntwo\r\nthr");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["one", "two"]);
    appendFileSync(bed.path("a.log"), "ee\n\n");
    await bed.step(running, 250);
    assert.deepEqual(bed.sink.lines(), ["one", "two", "three", ""]);
    assert.deepEqual(
      bed.sink.arrived.map((line) => line.offset),
      [0, 4, 9, 15],
    );
    await bed.stop(running);
  });

  test("poll() keeps reading a renamed file, then starts its successor", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    appendFileSync(bed.path("a.log.1"), "3\n4");
    writeFileSync(bed.path("a.log"), "5\n");
    await bed.run(running, 1500);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    await bed.run(running, 3000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4", "5"]);
    await bed.stop(running);
  });

  test("poll() starts again from 0 under a new id after a truncation", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    truncateSync(bed.path("a.log"), 0);
    appendFileSync(bed.path("a.log"), "3\n");
    await bed.run(running, 750);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    assert.notEqual(bed.sink.arrived[2]?.fileId, bed.sink.arrived[1]?.fileId);
    await bed.stop(running);
  });

  test("poll() takes the end of a longer file that replaces a shipped one for no loss of that", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n".repeat(600));
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    // Neither the head that is known grows with it, nor is it shorter.
    writeFileSync(bed.path("a.log"), "2\n".repeat(700));
    await bed.run(running, 1500);
    assert.deepEqual(bed.sink.lines(), [...Array(600).fill("1"), ...Array(700).fill("2")]);
    assert.deepEqual(losses(bed), [[1200, "unknown", "rewritten in place"]]);
    await bed.stop(running);
  });

  // Seed 17389 of the model: it kept its id, and what was written behind the cut was taken for lost.
  test("poll() takes a file for another that is cut off in what is being delivered, and has grown again", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n2\n3\n");
    const running = bed.start({ path: bed.path("a.log") });
    const look = async () => {
      bed.clock.advance(1000);
      await running.source.poll();
    };
    bed.sink.closeTopic("t");
    await look();
    const [file] = running.source.files;
    while (file?.deliveringSinceMs === undefined) await nextTurn();
    truncateSync(bed.path("a.log"), 2);
    await look();
    appendFileSync(bed.path("a.log"), "4\n5\n6\n");
    await look();
    bed.sink.openTopic("t");
    await bed.run(running, 5000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "1", "4", "5", "6"]);
    assert.deepEqual(losses(bed), [[6, "unknown", "truncated below what was read"]]);
    await bed.stop(running);
  });

  // Seed 355225278 of the model: only the one byte that the file was found with told the old content from the new.
  test("poll() notices that content was replaced while it waited for its turn, though it begins alike", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("a.log") });
    const look = async () => {
      bed.clock.advance(1000);
      await running.source.poll();
    };
    await bed.step(running);
    bed.sink.closeTopic("t");
    appendFileSync(bed.path("a.log"), "2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "c");
    await look();
    appendFileSync(bed.path("a.log"), "4\n");
    await look();
    writeFileSync(bed.path("a.log"), "c5\nc6\n");
    await look();
    bed.sink.openTopic("t");
    await bed.run(running, 5000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "c5", "c6"]);
    const losses = bed.logged.flatMap((line) => line.loss ?? []) as {
      from: number;
      to: number | "unknown";
    }[];
    assert.deepEqual(
      losses.map(({ from, to }) => [from, to]),
      [
        [0, 3],
        [3, "unknown"],
      ],
    );
    await bed.stop(running);
  });
});
