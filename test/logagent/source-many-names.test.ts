import assert from "node:assert/strict";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import { SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { findFiles, type WalkOptions } from "../../logagent/source/find-files.ts";
import { compileGlob } from "../../logagent/source/glob.ts";
import { MountTable } from "../../logagent/source/mount-table.ts";
import { SCAN_MIN_MS, SCAN_MS, ScanTiming } from "../../logagent/source/scan-timing.ts";
import { LOOK_MS } from "../../logagent/source/tailed-file.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

const NAMES = 5_000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logagent-names-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Names without number, which cost next to nothing: links to one file. */
function makeNames(count: number): void {
  writeFileSync(join(folder, "file"), "");
  for (let i = 0; i < count; i += 1) symlinkSync("file", join(folder, `${String(i).padStart(6, "0")}.log`));
}

const find = (pattern: string, options: Partial<WalkOptions> = {}) =>
  findFiles(compileGlob(join(folder, pattern)), {
    signal: new AbortController().signal,
    mounts: new MountTable({ read: () => "" }),
    ...options,
  });

/** How often others had their turn. */
async function turnsWhile(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isDone = true;
  return turns;
}

suite("findFiles() with very many names", () => {
  test("gives the event loop its turn, and the paths by name", async () => {
    makeNames(NAMES);
    let paths: readonly string[] = [];
    const turns = await turnsWhile(async () => {
      ({ paths } = await find("*.log"));
    });
    assert.equal(paths.length, NAMES);
    assert.deepEqual(paths, paths.toSorted());
    assert.ok(turns >= NAMES / 2_000, `${turns} turns`);
  });

  test("ends at the limit of files, says so, and looks into no further folder", async () => {
    makeNames(100);
    mkdirSync(join(folder, "z"));
    writeFileSync(join(folder, "z/later.log"), "");
    const { paths, problems, folders } = await find("{*,*/*}.log", { filesMax: 99 });
    assert.equal(paths.length, 99);
    assert.deepEqual(problems, ["Cannot ship every file: more than 99 paths match"]);
    assert.deepEqual(folders, [folder]);
    const exactly = await find("*.log", { filesMax: 100 });
    assert.deepEqual([exactly.paths.length, exactly.problems], [100, []]);
  });

  test("ends at the limit of folders, and says so", async () => {
    for (let i = 0; i < 30; i += 1) mkdirSync(join(folder, `d${i}`));
    const { problems, folders } = await find("**/*.log", { foldersMax: 20 });
    assert.deepEqual(problems, ["Cannot look into every folder: the pattern leads to more than 20"]);
    assert.ok(folders.length <= 20);
  });

  test("says that folders are too deep", async () => {
    const deep = join(folder, "d/".repeat(80));
    mkdirSync(deep, { recursive: true });
    const { problems } = await find("**/*.log");
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /^Cannot look into \/.*\/d\/d: it is more than 64 folders deep$/);
  });

  test("rejects with the signal's reason, also amid a folder", async () => {
    makeNames(NAMES);
    const stop = new AbortController();
    const found = find("*.log", { signal: stop.signal });
    const reason = new Error("the task stops");
    setImmediate(() => stop.abort(reason));
    await assert.rejects(found, reason);
  });
});

test("inodesIn() gives the event loop its turn, and does not say that a folder with too many names is complete", async () => {
  makeNames(NAMES);
  const turns = await turnsWhile(() => inodesIn(folder));
  assert.ok(turns >= NAMES / 1_000, `${turns} turns`);
  linkSync(join(folder, "file"), join(folder, "other"));
  assert.equal((await inodesIn(folder)).isComplete, true);
  assert.equal((await inodesIn(folder, { namesMax: NAMES })).isComplete, false);
});

suite("TailSource.poll() with very many files", () => {
  const FILES = 300;

  /** A millisecond passes whenever somebody asks for the time. */
  function holding(bed: SourceBed): Running {
    for (let i = 0; i < FILES; i += 1) writeFileSync(bed.path(`${i}.log`), `${i}\n`);
    let nowMs = 0;
    bed.clock.monotonicMs = () => {
      nowMs += 1;
      return nowMs;
    };
    return bed.start({ path: bed.path("*.log") });
  }

  test("gives the event loop its turn among files that are found and opened, and among those that are looked at", async () => {
    await using bed = await SourceBed.open();
    const running = holding(bed);
    const turns = await turnsWhile(() => running.source.poll());
    assert.equal(running.source.openFiles, FILES);
    // It is asked after each file, by whoever finds, opens or looks at them.
    assert.ok(turns >= (3 * FILES) / 11, `${turns} turns`);
    await running.source.idle();
    assert.equal(bed.sink.lines().length, FILES);
    for (let i = 0; i < FILES; i += 1) appendFileSync(bed.path(`${i}.log`), "more\n");
    for (const file of running.source.files) file.nextLookMs = 0;
    const again = await turnsWhile(() => running.source.poll());
    assert.ok(again >= FILES / 11, `${again} turns`);
    await running.source.idle();
    assert.equal(bed.sink.lines().length, 2 * FILES);
    await bed.stop(running);
  });

  test("gives the event loop its turn among held files that are placed by a scan", async () => {
    await using bed = await SourceBed.open();
    const running = holding(bed);
    await bed.step(running);
    while (bed.clock.monotonicMs() < 100 * FILES);
    for (const file of running.source.files) file.nextLookMs = Number.POSITIVE_INFINITY;
    const turns = await turnsWhile(() => running.source.poll());
    // Those that are found, and those that are held.
    assert.ok(turns >= (2 * FILES) / 11, `${turns} turns`);
    await bed.stop(running);
  });

  test("takes few chunks for many files that have grown: what was begun goes on among the others", async () => {
    await using bed = await SourceBed.open();
    for (let i = 0; i < FILES; i += 1) writeFileSync(bed.path(`${i}.log`), `${i}\n`);
    // No time passes, so that no slice ends.
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    for (let i = 0; i < FILES; i += 1) appendFileSync(bed.path(`${i}.log`), "more\n");
    const { chunks } = bed;
    let held = 0;
    const acquire = chunks.acquire.bind(chunks);
    chunks.acquire = async (bytes, options) => {
      const chunk = await acquire(bytes, options);
      held = Math.max(held, chunks.heldBytes / SMALL_CHUNK_BYTES);
      return chunk;
    };
    await bed.step(running, LOOK_MS);
    assert.equal(bed.sink.lines().length, 2 * FILES);
    assert.ok(held > 0 && held < FILES / 4, `held ${held} chunks at a time for ${FILES} files`);
    await bed.stop(running);
  });

  test("looks at no file that was closed while others had their turn", async () => {
    await using bed = await SourceBed.open();
    const running = holding(bed);
    await bed.step(running);
    for (const file of running.source.files) file.nextLookMs = 0;
    const polled = running.source.poll();
    await nextTurn();
    running.source.close();
    await polled;
    assert.deepEqual(running.context.problems.list(), []);
  });

  test("ends in the turn in which the source is stopped", async () => {
    await using bed = await SourceBed.open();
    const running = holding(bed);
    const polled = running.source.poll();
    await nextTurn();
    await nextTurn();
    await running.source.stop();
    await polled;
    assert.ok(running.source.openFiles < FILES, `${running.source.openFiles} files were opened`);
    running.source.close();
  });
});

test("ScanTiming rests after a scan that took long, also when there is news", () => {
  const timing = new ScanTiming();
  assert.equal(timing.nextMs, 0);
  timing.scanned({ beganAtMs: 1_000, endedAtMs: 1_010, isStale: false });
  assert.equal(timing.nextMs, 1_010 + SCAN_MS);
  timing.hurry();
  assert.equal(timing.nextMs, 1_010 + SCAN_MIN_MS);
  timing.scanned({ beganAtMs: 2_000, endedAtMs: 4_000, isStale: true });
  assert.equal(timing.nextMs, 12_000);
  timing.hurry();
  assert.equal(timing.nextMs, 12_000);
});
