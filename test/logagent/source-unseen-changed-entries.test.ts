import assert from "node:assert/strict";
import { appendFileSync, unlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { followPaths } from "../../logagent/source/follow-paths.ts";
import { LINGER_MS } from "../../logagent/source/rotation.ts";
import type { Running, SourceBed } from "../support/source-bed.ts";
import {
  kernelTick,
  linesAt,
  losses,
  numbered,
  openCase,
  rotate,
  SETTLED_MS,
  text,
} from "./peer-cases/tail-case.ts";

/** Applies a config, as the supervisor does: the order first. */
async function follow(bed: SourceBed, paths: readonly string[]): Promise<void> {
  await followPaths(
    paths.map((path) => ({ path, topic: "t" })),
    bed.deps,
  );
}

/** Writes ten lines, rotates, and begins the next file; so many times, before anybody looks. */
async function rotateUnseen(bed: SourceBed, times: number, from = 0): Promise<void> {
  for (let turn = 0; turn < times; turn += 1) {
    await kernelTick();
    appendFileSync(bed.path("app.log"), text(numbered("app", from + 10 * turn, 10)));
    await kernelTick();
    rotate(bed, "app.log", 9);
  }
  await kernelTick();
  appendFileSync(bed.path("app.log"), text(numbered("app", from + 10 * times, 10)));
}

async function endsWith(bed: SourceBed, running: Running, count: number): Promise<void> {
  await bed.run(running, 4 * SETTLED_MS);
  assert.deepEqual(bed.sink.lines(), numbered("app", 0, count));
  assert.deepEqual(losses(bed), []);
  await bed.stop(running);
}

suite("Files that nobody saw at their path while a config changes entries", () => {
  test("are found also where an older agent applied a pattern that is refused today", async () => {
    await using bed = await openCase();
    await follow(bed, [bed.path("*.log")]);
    const before = bed.start({ path: bed.path("*.log") });
    await bed.step(before);
    bed.checkpoints.markApplied(bed.path("{app,other.log"));
    await bed.stop(before);
    await bed.checkpoints.close();
    await bed.openCheckpoints();
    await rotateUnseen(bed, 3);
    await follow(bed, [bed.path("app.log")]);
    const running = bed.start({ path: bed.path("app.log") });
    await endsWith(bed, running, 40);
    assert.deepEqual(running.context.problems.list(), []);
  });

  for (const isRestarted of [false, true]) {
    const when = isRestarted ? ", while the agent is down" : "";
    test(`of a path at which the entry before never saw a file${when}: all lines in order`, async () => {
      await using bed = await openCase();
      await follow(bed, [bed.path("*.log")]);
      const before = bed.start({ path: bed.path("*.log") });
      await bed.step(before);
      await bed.stop(before);
      if (isRestarted) {
        await bed.checkpoints.close();
        await bed.openCheckpoints();
      }
      await rotateUnseen(bed, 3);
      await follow(bed, [bed.path("app.log")]);
      await endsWith(bed, bed.start({ path: bed.path("app.log") }), 40);
    });
  }

  test("after a file that the entry before had shipped, and that was deleted: all lines in order", async () => {
    await using bed = await openCase();
    await follow(bed, [bed.path("*.log")]);
    const before = bed.start({ path: bed.path("*.log") });
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    await bed.step(before);
    unlinkSync(bed.path("app.log"));
    await bed.run(before, LINGER_MS + 4 * SETTLED_MS);
    await bed.stop(before);
    assert.deepEqual([...bed.checkpoints.records()], []);
    await rotateUnseen(bed, 3, 10);
    await follow(bed, [bed.path("app.log")]);
    await endsWith(bed, bed.start({ path: bed.path("app.log") }), 50);
  });

  test("an entry that comes in front of one, whose task begins first in the next life of the agent: all lines in order", async () => {
    await using bed = await openCase();
    await follow(bed, [bed.path("*.log")]);
    const before = bed.start({ path: bed.path("*.log") });
    await bed.step(before);
    await bed.stop(before);
    await bed.checkpoints.close();
    await rotateUnseen(bed, 2);
    await bed.openCheckpoints();
    await follow(bed, [bed.path("app.log"), bed.path("*.log")]);
    const [all, one] = [bed.start({ path: bed.path("*.log") }), bed.start({ path: bed.path("app.log") })];
    await bed.step(all);
    await bed.step(one);
    await endsWith(bed, one, 30);
    await bed.stop(all);
  });

  test("what was rotated before anybody looked at its path is no business of the agent, though it looked at others", async () => {
    await using bed = await openCase();
    await follow(bed, [bed.path("other*.log")]);
    const before = bed.start({ path: bed.path("other*.log") });
    await bed.step(before);
    await bed.stop(before);
    await rotateUnseen(bed, 2);
    await follow(bed, [bed.path("*.log")]);
    const after = bed.start({ path: bed.path("*.log") });
    await bed.run(after, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 20, 10));
    await bed.stop(after);
  });

  test("an entry that begins at the ends of files leaves out what was rotated before it", async () => {
    await using bed = await openCase();
    await follow(bed, [bed.path("*.log")]);
    const before = bed.start({ path: bed.path("*.log") });
    await bed.step(before);
    await bed.stop(before);
    await rotateUnseen(bed, 2);
    await follow(bed, [bed.path("app.log")]);
    const after = bed.start({ path: bed.path("app.log"), from: "end" });
    await bed.run(after, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), []);
    await bed.stop(after);
  });

  test("a config that comes amid a scan, which opens nothing that is another's by now: all lines in order", async () => {
    await using bed = await openCase();
    const [all, path] = [bed.path("*.log"), bed.path("app.log")];
    await follow(bed, [all]);
    let first = bed.start({ path: all });
    writeFileSync(path, text(numbered("app", 0, 10)));
    writeFileSync(bed.path("old.log"), "old\n");
    await bed.step(first);
    await bed.stop(first);
    unlinkSync(bed.path("old.log"));
    first = bed.start({ path: all });
    const { folders } = bed.scans;
    const look = folders.look.bind(folders);
    // For where the one that is gone may be the scan looks when it has seen who is there.
    folders.look = async (folder) => {
      folders.look = look;
      await follow(bed, [path, all]);
      return look(folder);
    };
    await bed.step(first);
    assert.equal(folders.look, look);
    await rotateUnseen(bed, 2, 10);
    const second = bed.start({ path });
    for (let passed = 0; passed < 4 * SETTLED_MS; passed += 250) {
      await bed.step(first, 125);
      await bed.step(second, 125);
    }
    assert.deepEqual(linesAt(bed, "app.log"), numbered("app", 0, 40));
    await bed.stop(first);
    await bed.stop(second);
  });

  test("a shipped and deleted file that passed to another entry is not forgotten by the one it had", async () => {
    await using bed = await openCase();
    const [all, path] = [bed.path("*.log"), bed.path("app.log")];
    await follow(bed, [all]);
    const first = bed.start({ path: all });
    writeFileSync(path, text(numbered("app", 0, 10)));
    await bed.step(first);
    unlinkSync(path);
    let [record] = bed.checkpoints.records();
    while (record?.isResting !== true) await bed.run(first, 1_000);
    await follow(bed, [path, all]);
    await bed.run(first, 4 * SETTLED_MS);
    [record] = bed.checkpoints.records();
    assert.equal(record?.entry, path);
    await bed.stop(first);
  });
});
