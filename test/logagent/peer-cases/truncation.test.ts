import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  openSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { copyTruncate, losses, numbered, openCase, SETTLED_MS, text } from "./tail-case.ts";

suite("a file that is copied and truncated", () => {
  test("when it was read to its end loses nothing", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 100)));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (let turn = 1; turn <= 3; turn++) {
      copyTruncate(bed.path("app.log"), bed.path(`app.log.${turn}`));
      appendFileSync(bed.path("app.log"), text(numbered("app", turn * 100, 100)));
      await bed.run(running, 1000);
    }
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 400));
    await bed.stop(running);
  });

  test("with lines that were seen and not read: they are lost, and said, byte for byte", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    bed.sink.closeTopic("t");
    appendFileSync(bed.path("app.log"), "22\n");
    bed.clock.advance(250);
    await running.source.poll();
    // What is there now is read, and waits for the topic; what comes next is seen alone.
    await nextTurn();
    appendFileSync(bed.path("app.log"), "333\n");
    bed.clock.advance(250);
    await running.source.poll();
    copyTruncate(bed.path("app.log"), bed.path("app.log.1"));
    bed.clock.advance(250);
    await running.source.poll();
    bed.sink.openTopic("t");
    appendFileSync(bed.path("app.log"), "4\n");
    await bed.run(running, 1000);
    assert.equal(bed.sink.lines().at(-1), "4");
    const shippedBytes = text(bed.sink.lines().slice(0, -1)).length;
    const lostBytes = losses(bed).reduce((sum, [from, to]) => sum + (to === "unknown" ? 0 : to - from), 0);
    assert.equal(shippedBytes + lostBytes, "1\n22\n333\n".length);
    assert.equal(lostBytes, "333\n".length);
    await bed.stop(running);
  });

  test("by a writer that keeps its position leaves a hole, which is shipped as it is", async () => {
    await using bed = await openCase();
    const writer = openSync(bed.path("app.log"), "w");
    writeSync(writer, "before\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    copyTruncate(bed.path("app.log"), bed.path("app.log.1"));
    writeSync(writer, "after\n");
    closeSync(writer);
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["before", `${"\0".repeat(7)}after`]);
    await bed.stop(running);
  });

  test("into a name that the pattern matches: the copy is another file, and comes again", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), "unread\n");
    copyTruncate(bed.path("app.log"), bed.path("app.log.1"));
    appendFileSync(bed.path("app.log"), "3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines().sort(), ["1", "1", "2", "2", "3", "unread"]);
    await bed.stop(running);
  });
});

suite("a file that is truncated", () => {
  test("fifty times, and written to less and more than before each time", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 1000)));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    let next = 1000;
    for (let turn = 0; turn <= 50; turn++) {
      writeFileSync(bed.path("app.log"), text(numbered("app", next, turn * 50)));
      next += turn * 50;
      await bed.run(running, 500);
    }
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, next));
    await bed.stop(running);
  });

  test("and left empty is not read again", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n2\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    copyFileSync("/dev/null", bed.path("app.log"));
    await bed.run(running, SETTLED_MS);
    appendFileSync(bed.path("app.log"), "3\n");
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    await bed.stop(running);
  });

  test("and has outgrown its old size before anybody looked is read from its start", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1 old\n2 old\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    writeFileSync(bed.path("app.log"), text(numbered("new", 0, 20)));
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["1 old", "2 old", ...numbered("new", 0, 20)]);
    await bed.stop(running);
  });

  test("and has outgrown its old size with the same first lines is read from its start", async () => {
    await using bed = await openCase();
    const banner = "service starts\nversion 1\n";
    writeFileSync(bed.path("app.log"), `${banner}a\nb\n`);
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    writeFileSync(bed.path("app.log"), `${banner}c\nd\ne\nf\n`);
    await bed.run(running, 1000);
    const again = banner.trimEnd().split("\n");
    assert.deepEqual(bed.sink.lines(), [...again, "a", "b", ...again, "c", "d", "e", "f"]);
    await bed.stop(running);
  });

  test("in the middle: what it still has comes again, nothing is skipped", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n2\n3\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    truncateSync(bed.path("app.log"), 2);
    appendFileSync(bed.path("app.log"), "4\n");
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "1", "4"]);
    await bed.stop(running);
  });
});
