import assert from "node:assert/strict";
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { OVERLAPS_LOOKED_AT_MAX } from "../../logagent/source/overlaps.ts";
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

  test("of files that several entries before it ship, path and owner belong together, and only files count", async () => {
    await using bed = await SourceBed.open();
    for (const name of ["b1", "b2", "c", "own"]) writeFileSync(bed.path(`${name}.log`), "1\n");
    symlinkSync("nowhere", bed.path("a-dangling.log"));
    symlinkSync("/dev/zero", bed.path("zero.log"));
    mkdirSync(bed.path("folder.log"));
    const owners = ["a-dangling.log", "b*.log", "c.log", "folder.log", "zero.log"].map(bed.path, bed);
    bed.claims.setOrder([...owners, bed.path("*.log")]);
    const all = bed.start({ path: bed.path("*.log") });
    const said = async () => {
      await bed.step(all, 1000);
      return all.context.problems.list();
    };
    assert.deepEqual(await said(), [
      `Cannot ship ${bed.path("b1.log")} and 1 more: the entry ${bed.path("b*.log")} comes first and ships them; ` +
        "other entries before it ship 1 more",
    ]);
    rmSync(bed.path("b1.log"));
    rmSync(bed.path("b2.log"));
    assert.deepEqual(await said(), [
      `Cannot ship ${bed.path("c.log")}: the entry ${bed.path("c.log")} comes first and ships it`,
    ]);
    rmSync(bed.path("c.log"));
    assert.deepEqual(await said(), []);
    await bed.stop(all);
  });

  test("looks at a thousand files that entries before it ship, and says that there are others", async () => {
    await using bed = await SourceBed.open();
    const names = Array.from({ length: OVERLAPS_LOOKED_AT_MAX + 1 }, (_, n) => `n${10_000 + n}.log`);
    for (const name of names) writeFileSync(bed.path(name), "");
    bed.claims.setOrder([bed.path("n*.log"), bed.path("*.log")]);
    const all = bed.start({ path: bed.path("*.log") });
    await bed.step(all);
    const [said = ""] = all.context.problems.list();
    assert.match(
      said,
      /^Cannot ship .*\/n1\d+\.log and 999 more: .* \(of the first 1000 paths; there are others\)$/,
    );
    await bed.stop(all);
  });

  test("says nothing of an entry before it whose name no file has", async () => {
    await using bed = await SourceBed.open();
    const path = bed.path("{a,b}.log");
    bed.claims.setOrder([bed.path("a.log"), path]);
    const both = bed.start({ path });
    await bed.step(both);
    assert.deepEqual(both.context.problems.list(), []);
    await bed.stop(both);
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
