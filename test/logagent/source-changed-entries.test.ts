import assert from "node:assert/strict";
import { appendFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { followPaths } from "../../logagent/source/follow-paths.ts";
import type { Running } from "../support/source-bed.ts";
import { SourceBed } from "../support/source-bed.ts";

/** Applies a config, as the supervisor does: the order first. */
async function follow(bed: SourceBed, entries: readonly { path: string; topic?: string }[]): Promise<void> {
  await followPaths(
    entries.map(({ path, topic = "t" }) => ({ path, topic })),
    bed.deps,
  );
}

/** Polls all of them in turn, four times a second. */
async function run(bed: SourceBed, running: readonly Running[], ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    bed.clock.advance(250);
    for (const { source } of running) {
      await source.poll();
      await source.idle();
    }
  }
}

const lossesOf = (bed: SourceBed) => bed.checkpoints.newestLosses;

suite("A config that changes entries", () => {
  test("from a pattern to a path: what was rotated and not read is shipped, before its successor", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("app.log"), "1\n");
    const glob = bed.start({ path: bed.path("*.log") });
    await bed.step(glob);
    await bed.stop(glob);
    appendFileSync(bed.path("app.log"), "2\n");
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "3\n");
    await follow(bed, [{ path: bed.path("app.log") }]);
    const exact = bed.start({ path: bed.path("app.log") });
    await run(bed, [exact], 5_000);
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    assert.deepEqual(lossesOf(bed), []);
    await bed.stop(exact);
  });

  test("also with the first config that an agent applies", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("app.log"), "1\n");
    const glob = bed.start({ path: bed.path("*.log") });
    await bed.step(glob);
    await bed.stop(glob);
    await bed.checkpoints.close();
    appendFileSync(bed.path("app.log"), "2\n");
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    await bed.openCheckpoints();
    await follow(bed, [{ path: bed.path("app.log") }]);
    const exact = bed.start({ path: bed.path("app.log") });
    await run(bed, [exact], 5_000);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(exact);
  });

  test("while the task of before waits for acknowledgements, its files are neither taken nor said to be gone", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("app.log"), "1\n");
    const glob = bed.start({ path: bed.path("*.log") });
    await bed.step(glob);
    rmSync(bed.path("app.log"));
    writeFileSync(bed.path("app.log"), "2\n");
    await run(bed, [glob], 1_000);
    await follow(bed, [{ path: bed.path("app.log") }]);
    await glob.source.stop();
    const exact = bed.start({ path: bed.path("app.log") });
    await run(bed, [exact], 15_000);
    assert.deepEqual(lossesOf(bed), []);
    bed.sink.ackAll();
    glob.source.close();
    await run(bed, [exact], 15_000);
    bed.sink.ackAll();
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    assert.deepEqual(lossesOf(bed), []);
    await bed.stop(exact);
  });

  test("an overlap whose order changes: rotated files go over before the one at the path", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    const [all, one] = [{ path: bed.path("*.log") }, { path: bed.path("app.log") }];
    await follow(bed, [all, one]);
    writeFileSync(bed.path("app.log"), "1\n");
    const first = bed.start(all);
    await run(bed, [first], 1_000);
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    writeFileSync(bed.path("app.log"), "3\n");
    await run(bed, [first], 1_000);
    assert.equal(first.source.openFiles, 2);
    appendFileSync(bed.path("app.log.1"), "2\n");
    await follow(bed, [one, all]);
    const second = bed.start(one);
    await run(bed, [first, second], 5_000);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    bed.sink.ackAll();
    for (let i = 0; i < 10; i++) {
      await run(bed, [first, second], 2_000);
      bed.sink.ackAll();
    }
    assert.deepEqual(bed.sink.lines(), ["1", "2", "3"]);
    assert.deepEqual(lossesOf(bed), []);
    await bed.stop(first);
    await bed.stop(second);
  });

  test("without an entry for its path a file keeps the one it had, which goes on with it when it is back", async () => {
    await using bed = await SourceBed.open();
    const all = { path: bed.path("*.log") };
    writeFileSync(bed.path("app.log"), "1\n");
    const before = bed.start(all);
    await bed.step(before);
    await bed.stop(before);
    await follow(bed, [{ path: bed.path("other.txt") }]);
    appendFileSync(bed.path("app.log"), "2\n");
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    await follow(bed, [all]);
    const after = bed.start(all);
    await run(bed, [after], 5_000);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    await bed.stop(after);
  });

  test("a file that came to an entry under another name stays with it", async () => {
    await using bed = await SourceBed.open();
    const [from, to] = [{ path: bed.path("in-*.log") }, { path: bed.path("out-*.log") }];
    await follow(bed, [to]);
    bed.claims.setOrder([from.path, to.path]);
    assert.equal(bed.claims.heirOf({ path: bed.path("in-1.log"), entry: to.path }), undefined);
    assert.equal(bed.claims.heirOf({ path: bed.path("in-1.log"), entry: "/removed" }), from.path);
    assert.equal(bed.claims.heirOf({ path: bed.path("in-1.log"), entry: from.path }), undefined);
    assert.equal(bed.claims.heirOf({ path: "/nobody's", entry: "/removed" }), undefined);
  });
});
