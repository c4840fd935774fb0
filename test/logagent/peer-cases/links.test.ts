import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import type { SourceBed } from "../../support/source-bed.ts";
import { openCase, SETTLED_MS } from "./tail-case.ts";

/** Points the link somewhere else in one step. */
function switchLink(bed: SourceBed, name: string, target: string): void {
  symlinkSync(bed.path(target), bed.path(`${name}.next`));
  renameSync(bed.path(`${name}.next`), bed.path(name));
}

suite("a symbolic link", () => {
  test("that is switched to another file: the first is read to its end, then the second", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("one.txt"), "1\n");
    symlinkSync(bed.path("one.txt"), bed.path("current.log"));
    const running = bed.start({ path: bed.path("current.log") });
    await bed.step(running);
    writeFileSync(bed.path("two.txt"), "3\n");
    switchLink(bed, "current.log", "two.txt");
    appendFileSync(bed.path("one.txt"), "2\n");
    appendFileSync(bed.path("two.txt"), "4\n");
    await bed.run(running, 2 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4"]);
    await bed.stop(running);
  });

  test("that is switched forth and back: no line is missed, none comes twice", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("one.txt"), "1\n");
    writeFileSync(bed.path("two.txt"), "2\n");
    symlinkSync(bed.path("one.txt"), bed.path("current.log"));
    const running = bed.start({ path: bed.path("current.log") });
    await bed.step(running);
    for (const [target, line] of [
      ["two.txt", "3"],
      ["one.txt", "4"],
      ["two.txt", "5"],
    ] as const) {
      switchLink(bed, "current.log", target);
      appendFileSync(bed.path(target), `${line}\n`);
      await bed.run(running, 2 * SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3", "4", "5"]);
    await bed.stop(running);
  });

  test("to a link to a file that is rotated behind it, as container runtimes do", async () => {
    await using bed = await openCase();
    for (const folder of ["containers", "pods", "docker"]) mkdirSync(bed.path(folder));
    const file = bed.path("docker/c1-json.log");
    writeFileSync(file, "1\n");
    symlinkSync(file, bed.path("pods/0.log"));
    symlinkSync(bed.path("pods/0.log"), bed.path("containers/web.log"));
    const running = bed.start({ path: bed.path("containers/*.log") });
    await bed.step(running);
    for (let turn = 1; turn <= 3; turn++) {
      appendFileSync(file, `${turn} last\n`);
      renameSync(file, `${file}.${turn}`);
      writeFileSync(file, `${turn} first\n`);
      await bed.run(running, 2 * SETTLED_MS);
    }
    assert.deepEqual(bed.sink.lines(), ["1", "1 last", "1 first", "2 last", "2 first", "3 last", "3 first"]);
    await bed.stop(running);
  });

  test("and nine more to one file: it is read once", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("target.txt"), "1\n");
    const running = bed.start({ path: bed.path("*.log") });
    for (let i = 0; i < 10; i++) {
      symlinkSync(bed.path("target.txt"), bed.path(`${i}.log`));
      await bed.run(running, 1000);
    }
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });

  test("that leads nowhere yet is followed when its file is there", async () => {
    await using bed = await openCase();
    symlinkSync(bed.path("late.txt"), bed.path("app.log"));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.run(running, SETTLED_MS);
    writeFileSync(bed.path("late.txt"), "1\n");
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    await bed.stop(running);
  });

  test("that is deleted: its file is read to its end", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("target.txt"), "1\n");
    symlinkSync(bed.path("target.txt"), bed.path("app.log"));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    appendFileSync(bed.path("target.txt"), "2\n");
    unlinkSync(bed.path("app.log"));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(running);
  });
});
