import assert from "node:assert/strict";
import { appendFileSync, linkSync, mkdirSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { LINGER_MS } from "../../../logagent/source/rotation.ts";
import { kernelTick, linesAt, losses, numbered, openCase, rotate, SETTLED_MS, text } from "./tail-case.ts";

suite("a file that is rotated by renaming", () => {
  test("what its writer still puts into it before it reopens comes before the successor", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "4\n");
    appendFileSync(bed.path("app.log.1"), "2\n");
    await bed.run(running, 1000);
    appendFileSync(bed.path("app.log.1"), "3\n");
    appendFileSync(bed.path("app.log"), "5\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4", "5"]);
    await bed.stop(running);
  });

  test("is not read again under its new name, which the pattern matches too", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    rotate(bed, "app.log", 1);
    await bed.run(running, LINGER_MS + SETTLED_MS);
    appendFileSync(bed.path("app.log"), "3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    await bed.stop(running);
  });

  test("three times between two looks, three files at once: all lines, each path in order", async () => {
    await using bed = await openCase();
    const names = ["a.log", "b.log", "c.log"];
    const running = bed.start({ path: bed.path("*.log") });
    for (const name of names) writeFileSync(bed.path(name), "");
    await bed.step(running);
    for (let turn = 0; turn < 3; turn++) {
      for (const name of names) {
        appendFileSync(bed.path(name), text(numbered(name, turn * 3, 3)));
        rotate(bed, name, 3);
      }
      await kernelTick();
    }
    await bed.run(running, 20_000);
    for (const name of names) assert.deepEqual(linesAt(bed, name), numbered(name, 0, 9));
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("ten times, with time to read in between, the oldest deleted: all lines in order", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "");
    const running = bed.start({ path: bed.path("app.log") });
    for (let turn = 0; turn < 10; turn++) {
      appendFileSync(bed.path("app.log"), text(numbered("app", turn * 100, 100)));
      await bed.run(running, SETTLED_MS);
      rotate(bed, "app.log", 4);
    }
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 1000));
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("to a name with its date", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), "2\n");
    renameSync(bed.path("app.log"), bed.path("app.log-20261120"));
    await kernelTick();
    writeFileSync(bed.path("app.log"), "3\n");
    await kernelTick();
    renameSync(bed.path("app.log"), bed.path("app.log-20261121"));
    writeFileSync(bed.path("app.log"), "4\n");
    await bed.run(running, 3 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("into a folder that no pattern matches, and written to there", async () => {
    await using bed = await openCase();
    mkdirSync(bed.path("live"));
    mkdirSync(bed.path("old"));
    writeFileSync(bed.path("live/app.log"), "1\n");
    const running = bed.start({ path: bed.path("live/*.log") });
    await bed.step(running);
    renameSync(bed.path("live/app.log"), bed.path("old/app-1.log"));
    appendFileSync(bed.path("old/app-1.log"), "2\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(running);
  });

  test("whose successor comes only an hour later", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    appendFileSync(bed.path("app.log.1"), "2\n");
    await bed.run(running, SETTLED_MS);
    for (let minute = 0; minute < 60; minute++) await bed.step(running, 60_000);
    writeFileSync(bed.path("app.log"), "3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    await bed.stop(running);
  });

  test("and written to much later than it was held: its new name is not matched, and it is still found", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "2\n");
    await bed.run(running, 30_000);
    appendFileSync(bed.path("app.log.1"), "late\n");
    await bed.run(running, SETTLED_MS);
    await bed.run(running, LINGER_MS + SETTLED_MS);
    appendFileSync(bed.path("app.log.1"), "much later\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "late", "much later"]);
    await bed.stop(running);
  });

  test("again and again while the destination takes nothing: nothing is dropped for being behind", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    const running = bed.start({ path: bed.path("app.log") });
    bed.sink.closeTopic("t");
    for (let turn = 1; turn <= 8; turn++) {
      bed.clock.advance(1000);
      await running.source.poll();
      await kernelTick();
      rotate(bed, "app.log", 9);
      appendFileSync(bed.path("app.log"), text(numbered("app", turn * 10, 10)));
    }
    bed.clock.advance(1000);
    await running.source.poll();
    bed.sink.openTopic("t");
    await bed.run(running, 40_000);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 90));
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("and deleted before it was read to its end, while the destination takes nothing", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    bed.sink.closeTopic("t");
    appendFileSync(bed.path("app.log"), "2\n");
    rotate(bed, "app.log", 1);
    bed.clock.advance(1000);
    await running.source.poll();
    unlinkSync(bed.path("app.log.1"));
    appendFileSync(bed.path("app.log"), "3\n");
    for (let second = 0; second < 120; second++) {
      bed.clock.advance(1000);
      await running.source.poll();
    }
    bed.sink.openTopic("t");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("in the middle of a line: its beginning is not taken for a line, its rest not for another's beginning", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\nbegin");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "3\n");
    await bed.run(running, 1000);
    appendFileSync(bed.path("app.log.1"), "ning and end\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "beginning and end", "3"]);
    await bed.stop(running);
  });

  test("four times though nothing was written: empty generations keep nobody waiting", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (let turn = 0; turn < 4; turn++) {
      await kernelTick();
      rotate(bed, "app.log", 6);
    }
    appendFileSync(bed.path("app.log"), "2\n");
    await bed.run(running, 6 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(running);
  });

  test("and renamed back: it goes on where it was", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (const turn of [2, 3, 4]) {
      renameSync(bed.path("app.log"), bed.path("app.log.1"));
      await bed.run(running, turn * 1000);
      renameSync(bed.path("app.log.1"), bed.path("app.log"));
      appendFileSync(bed.path("app.log"), `${turn}\n`);
      await bed.run(running, SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("by a hard link under the new name, before the old name goes", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    linkSync(bed.path("app.log"), bed.path("app.log.1"));
    appendFileSync(bed.path("app.log"), "2\n");
    await bed.run(running, 1500);
    unlinkSync(bed.path("app.log"));
    writeFileSync(bed.path("app.log"), "4\n");
    appendFileSync(bed.path("app.log.1"), "3\n");
    await bed.run(running, 2 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });
});

suite("a file that is replaced by another", () => {
  test("renamed over it, as editors save: both are read, the old one to its end", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), "2\n");
    writeFileSync(bed.path("app.new"), "1\n2\n3\n");
    renameSync(bed.path("app.new"), bed.path("app.log"));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "1", "2", "3"]);
    await bed.stop(running);
  });

  test("that is read as well: both are read to their ends", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("a.log"), "a1\n");
    writeFileSync(bed.path("b.log"), "b1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("a.log"), "a2\n");
    appendFileSync(bed.path("b.log"), "b2\n");
    renameSync(bed.path("a.log"), bed.path("b.log"));
    await bed.run(running, SETTLED_MS);
    appendFileSync(bed.path("b.log"), "a3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines().sort(), ["a1", "a2", "a3", "b1", "b2"]);
    await bed.stop(running);
  });

  test("while that one gets its name: each goes on where it was", async () => {
    await using bed = await openCase();
    for (const name of ["a", "b"]) writeFileSync(bed.path(`${name}.log`), `${name}1\n`);
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    renameSync(bed.path("a.log"), bed.path("between"));
    renameSync(bed.path("b.log"), bed.path("a.log"));
    renameSync(bed.path("between"), bed.path("b.log"));
    for (const turn of [2, 3]) {
      appendFileSync(bed.path("a.log"), `b${turn}\n`);
      appendFileSync(bed.path("b.log"), `a${turn}\n`);
      await bed.run(running, 2 * SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines().sort(), ["a1", "a2", "a3", "b1", "b2", "b3"]);
    await bed.stop(running);
  });
});
