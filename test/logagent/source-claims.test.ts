import assert from "node:assert/strict";
import { linkSync, symlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { SourceBed } from "../support/source-bed.ts";

suite("TailSource and FileClaims", () => {
  test("a file ships once, by the first entry that matches, and the other says so", async () => {
    await using bed = await SourceBed.open();
    for (const name of ["a", "b", "c"]) writeFileSync(bed.path(`${name}.log`), `${name}\n`);
    bed.claims.setOrder([bed.path("a.log"), bed.path("*.log")]);
    const all = bed.start({ path: bed.path("*.log"), topic: "all" });
    const one = bed.start({ path: bed.path("a.log"), topic: "one" });
    await bed.step(all);
    await bed.step(one);
    assert.deepEqual(bed.sink.lines("all"), ["b", "c"]);
    assert.deepEqual(bed.sink.lines("one"), ["a"]);
    assert.deepEqual(all.context.problems.list(), [
      `Cannot ship ${bed.path("a.log")}: the entry ${bed.path("a.log")} comes first and ships it`,
    ]);
    assert.deepEqual(one.context.problems.list(), []);
    await bed.stop(all);
    await bed.stop(one);
  });

  test("when the order changes, the file goes over at its offset, and no line is sent twice", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n");
    const all = bed.start({ path: bed.path("*.log"), topic: "all" });
    await bed.step(all);
    bed.claims.setOrder([bed.path("a.log"), bed.path("*.log")]);
    const one = bed.start({ path: bed.path("a.log"), topic: "one" });
    writeFileSync(bed.path("a.log"), "2\n", { flag: "a" });
    await bed.step(one);
    assert.deepEqual(one.context.problems.list(), [
      `Cannot ship ${bed.path("a.log")}: another entry ships the same file under another name`,
    ]);
    await bed.step(all, 1000);
    bed.sink.ackAll();
    await bed.step(all, 1000);
    await bed.step(one, 1000);
    assert.deepEqual(bed.sink.lines("all"), ["1"]);
    assert.deepEqual(bed.sink.lines("one"), ["2"]);
    assert.deepEqual(one.context.problems.list(), []);
    await bed.stop(all);
    await bed.stop(one);
  });

  test("links to one file ship it once", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "1\n");
    linkSync(bed.path("a.log"), bed.path("b.log"));
    symlinkSync(bed.path("a.log"), bed.path("c.log"));
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    writeFileSync(bed.path("b.log"), "2\n", { flag: "a" });
    await bed.run(running, 1500);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    assert.equal(running.source.openFiles, 1);
    await bed.stop(running);
  });
});
