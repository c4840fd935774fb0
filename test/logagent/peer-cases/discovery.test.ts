import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { openCase, SETTLED_MS, whileDown } from "./tail-case.ts";

suite("files that come later", () => {
  test("in folders that come later, by wildcards in the folders' names", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("svc-*/day-*/*.log") });
    await bed.run(running, 1000);
    for (let i = 0; i < 5; i++) {
      mkdirSync(bed.path(`svc-${i}/day-1`), { recursive: true });
      writeFileSync(bed.path(`svc-${i}/day-1/app.log`), `${i}\n`);
      await bed.run(running, 2000);
    }
    assert.deepEqual(bed.sink.lines(), ["0", "1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("in a folder that is removed and made again", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("svc/*.log") });
    for (let turn = 0; turn < 3; turn++) {
      mkdirSync(bed.path("svc"));
      writeFileSync(bed.path("svc/app.log"), `${turn}\n`);
      await bed.run(running, 2000);
      rmSync(bed.path("svc"), { recursive: true });
      await bed.run(running, SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), ["0", "1", "2"]);
    await bed.stop(running);
  });

  test("where there was nothing at the start, not even the folder", async () => {
    await using bed = await openCase();
    const running = bed.start({ path: bed.path("not/yet/app.log") });
    await bed.run(running, SETTLED_MS);
    mkdirSync(bed.path("not/yet"), { recursive: true });
    writeFileSync(bed.path("not/yet/app.log"), "1\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });

  test("moved into the pattern, written before: they are read from their start", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.tmp"), "1\n2\n");
    const running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.run(running, 1000);
    renameSync(bed.path("app.tmp"), bed.path("app.log"));
    await bed.run(running, 2000);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(running);
  });

  test("when only what is new is wanted: what is written while the agent is down is new", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("old.log"), "old\n");
    let running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.step(running);
    appendFileSync(bed.path("old.log"), "1\n");
    await bed.step(running, 1000);
    running = await whileDown(bed, running, () => {
      appendFileSync(bed.path("old.log"), "2\n");
      writeFileSync(bed.path("new.log"), "3\n");
    });
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines().sort(), ["1", "2", "3"]);
    await bed.stop(running);
  });
});

suite("files that are there", () => {
  test("and old are left alone until they are written to; then all of them is read", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("old.log"), "1\n");
    utimesSync(bed.path("old.log"), 1000, 1000);
    writeFileSync(bed.path("new.log"), "2\n");
    const running = bed.start({ path: bed.path("*.log"), ignoreOlderThanSeconds: 3600 });
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["2"]);
    appendFileSync(bed.path("old.log"), "3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["2", "1", "3"]);
    await bed.stop(running);
  });

  test("and named by two entries are read once, by the first, and the other says so", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const first = bed.start({ path: bed.path("app.log"), topic: "first" });
    const second = bed.start({ path: bed.path("*.log"), topic: "second" });
    await bed.step(first);
    await bed.step(second);
    appendFileSync(bed.path("app.log"), "2\n");
    await bed.run(first, 1000);
    await bed.run(second, 1000);
    assert.deepEqual(bed.sink.lines("first"), ["1", "2"]);
    assert.deepEqual(bed.sink.lines("second"), []);
    assert.equal(second.context.problems.list().length, 1);
    await bed.stop(first);
    await bed.stop(second);
  });
});
