import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  linkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { linesAt, numbered, openCase, SETTLED_MS, text, whileDown } from "./tail-case.ts";

/** Writes files until one gets the inode of the one that was deleted; the filesystem gives it away again at once, mostly. */
function writeOnInode(path: string, ino: number, content: string): boolean {
  for (let i = 0; i < 50; i++) {
    const candidate = i === 0 ? path : `${path}.candidate-${i}`;
    writeFileSync(candidate, content);
    if (statSync(candidate).ino !== ino) continue;
    if (candidate !== path) renameSync(candidate, path);
    return true;
  }
  return false;
}

suite("an inode that is used again", () => {
  test("by a longer file of the same name is read from its start", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.csv"), "a;b\n1;2\n");
    let running = bed.start({ path: bed.path("*.csv") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      const { ino } = statSync(bed.path("app.csv"));
      unlinkSync(bed.path("app.csv"));
      writeOnInode(bed.path("app.csv"), ino, "a;b\n3;4\n5;6\n7;8\n");
    });
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(linesAt(bed, "app.csv"), ["a;b", "1;2", "a;b", "3;4", "5;6", "7;8"]);
    await bed.stop(running);
  });

  test("by a file of another name, in a folder where files come and go, is read from its start", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("0940.data"), text(numbered("0940", 0, 50)));
    const running = bed.start({ path: bed.path("*.data") });
    await bed.step(running);
    // Held open it keeps its inode; let go, and the next file gets it.
    unlinkSync(bed.path("0940.data"));
    await bed.run(running, 90_000);
    assert.equal(running.source.openFiles, 0);
    writeFileSync(bed.path("1400.data"), text(numbered("1400", 0, 80)));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(linesAt(bed, "1400.data"), numbered("1400", 0, 80));
    await bed.stop(running);
  });

  test("by the live file, of a generation that rotation deleted", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "banner\n0\n");
    const running = bed.start({ path: bed.path("app.log*") });
    await bed.step(running);
    const expected = ["banner", "0"];
    for (let turn = 1; turn <= 6; turn++) {
      renameSync(bed.path("app.log"), bed.path("app.log.1"));
      await bed.run(running, 90_000);
      unlinkSync(bed.path("app.log.1"));
      await bed.run(running, 90_000);
      writeFileSync(bed.path("app.log"), `banner\n${turn}\n`);
      expected.push("banner", String(turn));
      await bed.run(running, SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), expected);
    await bed.stop(running);
  });
});

suite("files that look like each other", () => {
  test("begin with the same four kilobytes: both are read", async () => {
    await using bed = await openCase();
    const banner = text(numbered("license", 0, 300));
    writeFileSync(bed.path("a.log"), `${banner}a\n`);
    writeFileSync(bed.path("b.log"), `${banner}b\n`);
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("a.log"), "a2\n");
    appendFileSync(bed.path("b.log"), "b2\n");
    await bed.run(running, 1000);
    assert.deepEqual(linesAt(bed, "a.log").slice(300), ["a", "a2"]);
    assert.deepEqual(linesAt(bed, "b.log").slice(300), ["b", "b2"]);
    await bed.stop(running);
  });

  test("are the same, byte for byte: both are read", async () => {
    await using bed = await openCase();
    for (const name of ["a.log", "b.log"]) writeFileSync(bed.path(name), "job done\n");
    let running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => writeFileSync(bed.path("c.log"), "job done\n"));
    await bed.run(running, 1000);
    assert.deepEqual(
      bed.sink.arrived.map(({ path }) => path).sort(),
      ["a.log", "b.log", "c.log"].map((name) => bed.path(name)),
    );
    await bed.stop(running);
  });

  test("are empty at first: each is read when it is written to", async () => {
    await using bed = await openCase();
    const names = ["a.log", "b.log", "c.log"];
    for (const name of names) writeFileSync(bed.path(name), "");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.run(running, SETTLED_MS);
    for (const name of names) appendFileSync(bed.path(name), `${name}\n`);
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines().sort(), names);
    await bed.stop(running);
  });

  test("are one line long, or one byte: they are read at once, no size is waited for", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("a.log"), "\n");
    writeFileSync(bed.path("b.log"), "x\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines().sort(), ["", "x"]);
    await bed.stop(running);
  });
});

suite("one file", () => {
  test("with two names, hard links, is read once", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("a.log"), "1\n");
    linkSync(bed.path("a.log"), bed.path("b.log"));
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("b.log"), "2\n");
    unlinkSync(bed.path("a.log"));
    await bed.run(running, SETTLED_MS);
    appendFileSync(bed.path("b.log"), "3\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    await bed.stop(running);
  });

  test("that is touched, or whose mode is changed, is not read again", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    for (const mode of [0o600, 0o644]) {
      utimesSync(bed.path("app.log"), mode, mode);
      chmodSync(bed.path("app.log"), mode);
      await bed.run(running, 1000);
    }
    running = await whileDown(bed, running, () => utimesSync(bed.path("app.log"), 1, 1));
    await bed.run(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });
});
