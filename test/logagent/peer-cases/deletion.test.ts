import assert from "node:assert/strict";
import { appendFileSync, closeSync, openSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { suite, test } from "node:test";
import { MOVED_SCAN_MS } from "../../../logagent/source/moved-search.ts";
import { LINGER_MS } from "../../../logagent/source/rotation.ts";
import { losses, numbered, openCase, SETTLED_MS, text } from "./tail-case.ts";

suite("a file that is deleted", () => {
  test("with unread lines while it is held is read to its end, its last line without newline too", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), `${text(numbered("app", 0, 100))}the end`);
    unlinkSync(bed.path("app.log"));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", ...numbered("app", 0, 100), "the end"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("and still written to by whoever has it open is read on", async () => {
    await using bed = await openCase();
    const writer = openSync(bed.path("app.log"), "a");
    writeSync(writer, "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    unlinkSync(bed.path("app.log"));
    await bed.run(running, SETTLED_MS);
    writeSync(writer, "2\n");
    await bed.run(running, SETTLED_MS);
    closeSync(writer);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(running);
  });

  test("is let go by itself, nothing else needs to happen, and leaves no checkpoint", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    unlinkSync(bed.path("app.log"));
    await bed.run(running, LINGER_MS + SETTLED_MS);
    assert.equal(running.source.openFiles, 0);
    await bed.run(running, MOVED_SCAN_MS);
    assert.deepEqual([...bed.checkpoints.records()], []);
    await bed.stop(running);
  });

  test("and made again under its name is read from its start, also when it is longer and begins alike", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "start\n1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (const content of ["start\n2\n3\n", "start\n4\n5\n6\n"]) {
      unlinkSync(bed.path("app.log"));
      writeFileSync(bed.path("app.log"), content);
      await bed.run(running, SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), ["start", "1", "start", "2", "3", "start", "4", "5", "6"]);
    await bed.stop(running);
  });

  test("while the destination takes nothing is kept until it does, however long that is", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 5000)));
    const running = bed.start({ path: bed.path("*.log") });
    bed.sink.closeTopic("t");
    await running.source.poll();
    unlinkSync(bed.path("app.log"));
    for (let minute = 0; minute < 30; minute++) {
      bed.clock.advance(60_000);
      await running.source.poll();
    }
    bed.sink.openTopic("t");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 5000));
    await bed.stop(running);
  });

  test("and made again with the same content, by each run of a job, is read each time", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("*.log") });
    for (let turn = 0; turn < 4; turn++) {
      writeFileSync(bed.path("job.log"), "job done\n");
      await bed.run(running, SETTLED_MS);
      unlinkSync(bed.path("job.log"));
      await bed.run(running, LINGER_MS + SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), Array(4).fill("job done"));
    await bed.stop(running);
  });
});
