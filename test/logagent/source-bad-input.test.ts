import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { suite, test } from "node:test";
import { watchFs } from "../model/watched-fs.ts";
import { SourceBed } from "../support/source-bed.ts";

const NOBODY = 65534;

/** As a user whom file modes stop. */
async function withoutPrivileges<T>(act: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    return await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

/** A link stands where something else was. */
function swapFor(path: string, target: string): void {
  rmSync(path, { recursive: true });
  symlinkSync(target, path);
}

suite("TailSource with bad input", () => {
  test("says permission denied for one file, ships the others, and ships it when it may", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("a.log"), "a\n");
    writeFileSync(bed.path("b.log"), "b\n");
    chmodSync(bed.folder, 0o755);
    chmodSync(bed.path("."), 0o755);
    chmodSync(bed.path("a.log"), 0);
    const running = bed.start({ path: bed.path("*.log") });
    // Checkpoints are written by the agent's own user.
    running.context.deps.checkpoints.durable = () => Promise.resolve();
    await withoutPrivileges(() => bed.step(running));
    assert.deepEqual(bed.sink.lines(), ["b"]);
    assert.deepEqual(running.context.problems.list(), [
      `Cannot open ${bed.path("a.log")}: permission denied; the agent's user must be able to read it`,
    ]);
    chmodSync(bed.path("a.log"), 0o644);
    await withoutPrivileges(() => bed.step(running, 1000));
    assert.deepEqual(bed.sink.lines(), ["b", "a"]);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });

  test("says that a path is a directory, and how to name the files in it", async () => {
    await using bed = await SourceBed.open();
    mkdirSync(bed.path("app"));
    const running = bed.start({ path: bed.path("app") });
    await bed.step(running);
    const path = bed.path("app");
    assert.deepEqual(running.context.problems.list(), [
      `Cannot read ${path}: it is a directory, expected a regular file (for the files in it: ${path}/*)`,
    ]);
    await bed.stop(running);
  });

  test("passes over folders that a pattern matches, without a word", async () => {
    await using bed = await SourceBed.open();
    mkdirSync(bed.path("app.log"));
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });

  test("says that a name is not valid UTF-8, of a file and of a folder; U+FFFD in a name is a character", async () => {
    await using bed = await SourceBed.open();
    const latin1 = (name: string) => Buffer.from(bed.path(name), "latin1");
    writeFileSync(latin1("caf\xe9.log"), "a\n");
    writeFileSync(latin1("caf\xe9.txt"), "not matched\n");
    mkdirSync(latin1("d\xe9"));
    mkdirSync(latin1("e\xe9.log"));
    writeFileSync(Buffer.concat([latin1("d\xe9/"), Buffer.from("b.log")]), "b\n");
    writeFileSync(bed.path("\ufffd.log"), "c\n");
    const why = "its name is not valid UTF-8, expected a name of characters";
    const problemsOf = async (pattern: string) => {
      const running = bed.start({ path: bed.path(pattern) });
      await bed.step(running);
      await bed.stop(running);
      return running.context.problems.list().filter((problem) => problem.includes(why));
    };
    const file = `Cannot ship ${bed.path("caf\ufffd.log")}: ${why}`;
    const folder = `Cannot look into ${bed.path("d\ufffd")}: ${why}`;
    assert.deepEqual(await problemsOf("*.log"), [file]);
    assert.deepEqual(bed.sink.lines(), ["c"]);
    assert.deepEqual(await problemsOf("d*/*.log"), [folder]);
    const other = `Cannot look into ${bed.path("e\ufffd.log")}: ${why}`;
    assert.deepEqual(await problemsOf("**/*.log"), [file, folder, other]);
  });

  test("never opens a FIFO, a socket or a device, and says so", async () => {
    await using bed = await SourceBed.open({ allow: ["/**"] });
    execFileSync("mkfifo", [bed.path("fifo.log")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(bed.path("socket.log"), resolve));
    symlinkSync("/dev/zero", bed.path("device.log"));
    writeFileSync(bed.path("a.log"), "a\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["a"]);
    assert.deepEqual(running.context.problems.list(), [
      `Cannot read ${bed.path("device.log")}: it is a device, expected a regular file`,
      `Cannot read ${bed.path("fifo.log")}: it is a FIFO, expected a regular file`,
      `Cannot read ${bed.path("socket.log")}: it is a socket, expected a regular file`,
    ]);
    rmSync(bed.path("fifo.log"));
    rmSync(bed.path("device.log"));
    writeFileSync(bed.path("device.log"), "now a file\n");
    await bed.step(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["a", "now a file"]);
    assert.equal(running.context.problems.list().length, 1);
    await bed.stop(running);
    server.close();
  });

  test("refuses what leaves allow through a symbolic link, and reads what stays inside", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(`${bed.folder}/secret`, "secret\n");
    writeFileSync(bed.path("real"), "real\n");
    symlinkSync(`${bed.folder}/secret`, bed.path("out.log"));
    symlinkSync(bed.path("real"), bed.path("in.log"));
    mkdirSync(`${bed.folder}/elsewhere`);
    writeFileSync(`${bed.folder}/elsewhere/x.log`, "elsewhere\n");
    symlinkSync(`${bed.folder}/elsewhere`, bed.path("folder"));
    const running = bed.start({ path: bed.path("{*,folder/*}.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["real"]);
    const allow = `expected a path that "allow" names: ${bed.folder}/logs/**`;
    assert.deepEqual(running.context.problems.list(), [
      `Cannot read ${bed.path("out.log")} (it leads to ${bed.folder}/secret): ${allow}`,
      `Cannot read ${bed.path("folder/x.log")} (it leads to ${bed.folder}/elsewhere/x.log): ${allow}`,
    ]);
    await bed.stop(running);
  });

  for (const [what, swap] of [
    ["a path", (bed: SourceBed) => swapFor(bed.path("app/a.log"), `${bed.folder}/secret/a.log`)],
    ["a folder of a path", (bed: SourceBed) => swapFor(bed.path("app"), `${bed.folder}/secret`)],
  ] as const) {
    test(`reads nothing outside of allow when ${what} is switched between the look and the opening`, async () => {
      await using bed = await SourceBed.open();
      mkdirSync(bed.path("app"));
      mkdirSync(`${bed.folder}/secret`);
      writeFileSync(bed.path("app/a.log"), "a\n");
      linkSync(bed.path("app/a.log"), bed.path("b.log"));
      // The same inode under both paths: nothing but the path tells.
      linkSync(bed.path("app/a.log"), `${bed.folder}/secret/a.log`);
      const running = bed.start({ path: bed.path("app/*.log") });
      let swaps = 0;
      watchFs({
        looked: (_stats, path) => {
          if (path !== bed.path("app/a.log") || swaps > 0) return;
          swaps += 1;
          swap(bed);
        },
        read: () => assert.fail("nothing is read"),
      });
      try {
        await bed.step(running);
      } finally {
        watchFs(undefined);
      }
      assert.equal(swaps, 1);
      assert.deepEqual(running.context.problems.list(), [
        `Cannot read ${bed.path("app/a.log")} (it leads to ${bed.folder}/secret/a.log): ` +
          `expected a path that "allow" names: ${bed.folder}/logs/**`,
      ]);
      const other = bed.start({ path: bed.path("b.log") });
      await bed.step(other);
      assert.deepEqual(bed.sink.lines(), ["a"]);
      await bed.stop(running);
      await bed.stop(other);
    });
  }

  test("waits for a folder that is not there yet, and is not caught in loops of links", async () => {
    await using bed = await SourceBed.open();
    const running = bed.start({ path: bed.path("app/**/*.log") });
    await bed.step(running);
    assert.deepEqual(running.context.problems.list(), []);
    mkdirSync(bed.path("app/deep"), { recursive: true });
    symlinkSync(bed.path("app"), bed.path("app/deep/loop"));
    symlinkSync(bed.path("app/ring.log"), bed.path("app/ring.log"));
    writeFileSync(bed.path("app/deep/a.log"), "a\n");
    await bed.step(running, 1000);
    assert.deepEqual(bed.sink.lines(), ["a"]);
    await bed.stop(running);
  });

  test("forgets a problem when its path is gone", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(`${bed.folder}/secret`, "secret\n");
    symlinkSync(`${bed.folder}/secret`, bed.path("out.log"));
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    assert.equal(running.context.problems.list().length, 1);
    renameSync(bed.path("out.log"), bed.path("out"));
    await bed.step(running, 1000);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });
});
