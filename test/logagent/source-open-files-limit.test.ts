import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { seededRandom } from "../../base/random.ts";
import { MOVED_SCAN_MS } from "../../logagent/source/moved-search.ts";
import { TURN_MS } from "../../logagent/source/open-files.ts";
import { tailStatus } from "../../logagent/task/tail-status.ts";
import { watchFs } from "../model/watched-fs.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";
import { kernelTick, openCase } from "./peer-cases/tail-case.ts";

/** Log files of the bed that this process has open, as the kernel says. */
function openLogs(bed: SourceBed): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(bed.path("")) ? [path] : [];
    } catch {
      // The one by which the folder was read.
      return [];
    }
  });
}

const isOpen = (bed: SourceBed, name: string) => openLogs(bed).includes(bed.path(name));

const losses = (bed: SourceBed) =>
  bed.logged.flatMap(({ loss }) =>
    loss === undefined ? [] : [loss as { path: string; from: number; to: number }],
  );

/** A file has the number of another one, which the kernel gives away as soon as that is gone. */
class OtherNumber implements Disposable {
  constructor(real: bigint, shown: bigint) {
    watchFs({
      looked: (stats) => {
        if (stats.ino === real) stats.ino = shown;
      },
    });
  }

  [Symbol.dispose](): void {
    watchFs(undefined);
  }
}

/** Holds b.log for as long as its line is not acknowledged, and has let go of a.log, which is shipped. */
async function withClosedFile(bed: SourceBed, running: Running): Promise<void> {
  writeFileSync(bed.path("a.log"), "a1\n");
  await bed.run(running, 1_000);
  bed.sink.ackAll();
  writeFileSync(bed.path("b.log"), "b1\n");
  for (let ms = 0; !isOpen(bed, "b.log"); ms += 250) {
    assert.ok(ms < 10_000, "b.log is opened");
    await bed.step(running, 250);
  }
  assert.deepEqual(openLogs(bed), [bed.path("b.log")]);
  assert.deepEqual(bed.sink.lines(), ["a1", "b1"]);
}

suite("TailSource with fewer descriptors than files", () => {
  test("ships every line of 20 files of mixed rates, in order, and never holds more than 3", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 3 });
    const random = seededRandom(7);
    const running = bed.start({ path: bed.path("*.log") });
    const written = new Map<string, string[]>();
    for (let round = 0; round < 400; round += 1) {
      for (let file = 0; file < 20; file += 1) {
        // The first grows all the time, the last every 40 rounds or so.
        if (random.next() > 1 / (1 + 2 * file)) continue;
        const path = bed.path(`f${file}.log`);
        const lines = written.get(path) ?? [];
        lines.push(`${file} ${round}`);
        written.set(path, lines);
        appendFileSync(path, `${file} ${round}\n`);
      }
      await bed.step(running, 250);
      assert.ok(openLogs(bed).length <= 3, `${openLogs(bed)}`);
      assert.equal(running.source.openFiles, openLogs(bed).length);
    }
    assert.equal(written.size, 20);
    const shipped = (path: string) => bed.sink.arrived.filter((line) => line.path === path);
    for (let ms = 0; bed.sink.arrived.length < [...written.values()].flat().length; ms += 250) {
      assert.ok(ms < 60_000, "everything is shipped");
      await bed.step(running, 250);
    }
    for (const [path, lines] of written) {
      assert.deepEqual(
        shipped(path).map(({ value }) => value.toString()),
        lines,
        path,
      );
      assert.equal(new Set(shipped(path).map(({ fileId }) => fileId)).size, 1, path);
    }
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("lets files of two tasks take turns, none of which comes to its end", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const tasks = ["x", "y"].map((name) => bed.start({ path: bed.path(`${name}*.log`) }));
    const names = ["x1.log", "x2.log", "x3.log", "y1.log"];
    for (const name of names) writeFileSync(bed.path(name), `${name} 0\n`);
    const turns: string[] = [];
    for (let ms = 0; ms < 6 * names.length * TURN_MS; ms += 250) {
      for (const running of tasks) await bed.step(running, 125);
      const [path] = openLogs(bed);
      assert.ok(openLogs(bed).length <= 1, `${openLogs(bed)}`);
      const name = names.find((one) => path === bed.path(one));
      if (name === undefined || turns.at(-1) === name) continue;
      turns.push(name);
      // What is in flight of the others is acknowledged; this one's is not while it has its turn.
      bed.sink.ackAll();
      appendFileSync(bed.path(name), `${name} ${turns.length}\n`);
    }
    assert.ok(turns.length >= 2 * names.length, `${turns}`);
    for (let i = 0; i + names.length <= turns.length; i += 1) {
      assert.equal(new Set(turns.slice(i, i + names.length)).size, names.length, `${turns}`);
    }
    for (const running of tasks) await bed.stop(running);
  });

  test("does not read a file again that gave way, before what was sent of it is acknowledged", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    writeFileSync(bed.path("a.log"), "a1\n");
    await bed.step(running);
    writeFileSync(bed.path("b.log"), "b1\n");
    await bed.run(running, 4 * TURN_MS);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1"]);
    appendFileSync(bed.path("a.log"), "a2\n");
    await bed.run(running, 4 * TURN_MS);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1"]);
    bed.sink.ackAll();
    await bed.run(running, 4 * TURN_MS);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1", "a2"]);
    await bed.stop(running);
  });

  test("reads a closed file that was rotated before the one that came after it", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    await withClosedFile(bed, running);
    appendFileSync(bed.path("a.log"), "a2\n");
    renameSync(bed.path("a.log"), bed.path("a.log.1"));
    writeFileSync(bed.path("a.log"), "a3\n");
    bed.sink.autoAck = true;
    bed.sink.ackAll();
    await bed.run(running, 20_000);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1", "a2", "a3"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("says what was seen of a closed file that is deleted", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    await withClosedFile(bed, running);
    appendFileSync(bed.path("a.log"), "a2 unread\n");
    await bed.step(running, 1_000);
    assert.deepEqual(openLogs(bed), [bed.path("b.log")]);
    unlinkSync(bed.path("a.log"));
    await bed.run(running, 3_000);
    const [range] = losses(bed).filter(
      ({ path, to }) => path === bed.path("a.log") && typeof to === "number",
    );
    assert.deepEqual([range?.from, range?.to], [3, 13]);
    await bed.stop(running);
  });

  test("keeps a deleted file open until it is read and acknowledged, whoever waits", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    writeFileSync(bed.path("a.log"), "a1\n");
    await bed.step(running);
    unlinkSync(bed.path("a.log"));
    writeFileSync(bed.path("b.log"), "b1\n");
    await bed.run(running, 10 * TURN_MS);
    assert.deepEqual(openLogs(bed), [`${bed.path("a.log")} (deleted)`]);
    bed.sink.ackAll();
    await bed.run(running, 2 * TURN_MS);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1"]);
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("notices a closed file that was truncated and rewritten to the same size", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1 });
    const running = bed.start({ path: bed.path("*.log") });
    await withClosedFile(bed, running);
    truncateSync(bed.path("a.log"));
    appendFileSync(bed.path("a.log"), "A1\n");
    await bed.run(running, 5_000);
    assert.deepEqual(bed.sink.lines(), ["a1", "b1", "A1"]);
    await bed.stop(running);
  });

  test("starts files at their end that could not be opened then", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1 });
    const names = ["a.log", "b.log", "c.log"];
    for (const name of names) writeFileSync(bed.path(name), "old\n");
    const running = bed.start({ path: bed.path("*.log"), from: "end" });
    await bed.step(running);
    for (const name of names) appendFileSync(bed.path(name), `${name}\n`);
    await bed.run(running, 10_000);
    assert.deepEqual(bed.sink.lines().sort(), names);
    await bed.stop(running);
  });

  test("ships an unfinished last line when its time has come, also of a file that gave way", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1 });
    const running = bed.start({ path: bed.path("*.log"), partialLineTimeoutMs: 20_000 });
    writeFileSync(bed.path("a.log"), "unfinished");
    await bed.run(running, 2 * TURN_MS);
    for (let line = 0; bed.clock.monotonicMs() < 15_000; line += 1) {
      appendFileSync(bed.path("b.log"), `b${line}\n`);
      await bed.run(running, 1_000);
    }
    assert.equal(isOpen(bed, "a.log"), false);
    assert.ok(!bed.sink.lines().includes("unfinished"));
    await bed.run(running, 10_000);
    assert.ok(bed.sink.lines().includes("unfinished"), `${bed.sink.lines()}`);
    await bed.stop(running);
  });

  test("tells as behind what closed files have in flight, each byte once", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 2, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    for (let i = 0; i < 6; i += 1) writeFileSync(bed.path(`${i}.log`), `${i}\n`);
    const behind = () => tailStatus("running", running.context, running.source).bytesBehind;
    await bed.run(running, 10 * TURN_MS);
    assert.deepEqual([bed.sink.inFlightBytes, behind()], [12, 12]);
    for (let i = 0; i < 6; i += 1) appendFileSync(bed.path(`${i}.log`), "more\n");
    await bed.run(running, 10 * TURN_MS);
    assert.equal(behind(), 6 * 7);
    bed.sink.autoAck = true;
    bed.sink.ackAll();
    await bed.run(running, 20 * TURN_MS);
    assert.equal(behind(), 0);
    await bed.stop(running);
  });

  test("tells how many wait, and for what", async () => {
    await using bed = await SourceBed.open({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    await withClosedFile(bed, running);
    appendFileSync(bed.path("a.log"), "a2\n");
    await bed.step(running, 1_000);
    const status = tailStatus("running", running.context, running.source);
    assert.deepEqual([status.files, status.openFiles, status.closedFiles, status.waitingFiles], [2, 1, 1, 1]);
    assert.equal(status.bytesBehind, 6);
    assert.deepEqual(status.problems, [
      "Cannot hold every file open: 1 wait for their turn, 1 may be open at one time (openFilesMax)",
    ]);
    bed.sink.autoAck = true;
    bed.sink.ackAll();
    await bed.run(running, 3 * TURN_MS);
    assert.deepEqual(tailStatus("running", running.context, running.source).problems, []);
    await bed.stop(running);
  });

  test("goes on with fewer files when the system has no descriptors left (EMFILE)", () => {
    const script = new URL("../support/few-descriptors.ts", import.meta.url).pathname;
    assert.ok(existsSync(script));
    const { stdout, stderr, status } = spawnSync(
      "sh",
      ["-c", 'ulimit -n 64; exec "$0" "$1"', process.execPath, script],
      {
        encoding: "utf8",
      },
    );
    assert.equal(status, 0, stderr);
    const { shipped, open, problems } = JSON.parse(stdout) as {
      shipped: string[];
      open: number;
      problems: string[];
    };
    assert.deepEqual(shipped.sort(), Array.from({ length: 100 }, (_, i) => `line ${i}`).sort());
    assert.ok(open > 0 && open < 64, `${open}`);
    assert.ok(
      problems.some((problem) => /too many open files; raise the limit of the agent/.test(problem)),
      `${problems}`,
    );
  });

  // Seed 608513 of the model: by its number it was taken for the one that gave way, and by nobody looked into.
  test("a file that nobody saw at its path is found though it has the number of one that gave way with unacknowledged lines", async () => {
    await using bed = await openCase({ openFilesMax: 1, autoAck: false });
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    await kernelTick();
    writeFileSync(bed.path("a.log"), "a1\n");
    await bed.run(running, 1_000);
    const { ino } = statSync(bed.path("a.log"), { bigint: true });
    writeFileSync(bed.path("b.log"), "b1\n");
    for (let ms = 0; !isOpen(bed, "b.log"); ms += 250) {
      assert.ok(ms < 10_000, "b.log is opened");
      await bed.step(running, 250);
    }
    await kernelTick();
    writeFileSync(bed.path("next"), "a2\n");
    await kernelTick();
    writeFileSync(bed.path("last"), "a3\n");
    unlinkSync(bed.path("a.log"));
    using _ = new OtherNumber(statSync(bed.path("next"), { bigint: true }).ino, ino);
    renameSync(bed.path("next"), bed.path("a.log.1"));
    renameSync(bed.path("last"), bed.path("a.log"));
    await bed.run(running, 2 * MOVED_SCAN_MS);
    for (let round = 0; round < 40; round += 1) {
      bed.sink.ackAll();
      await bed.run(running, 1_000);
    }
    assert.deepEqual(bed.sink.lines().toSorted(), ["a1", "a2", "a3", "b1"]);
    await bed.stop(running);
  });
});
