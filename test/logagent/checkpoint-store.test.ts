import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import type { Disk } from "../../base/disk.ts";
import { nodeDisk } from "../../base/node-disk.ts";
import { seededRandom } from "../../base/random.ts";
import { readAccounts } from "../../logagent/audit/read-accounts.ts";
import { CHECKPOINT_INTERVAL_MS, CHECKPOINT_RETRY_MS } from "../../logagent/checkpoint/checkpoint-pace.ts";
import { CheckpointStore } from "../../logagent/checkpoint/checkpoint-store.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import { PRUNE_INTERVAL_MS, RECORD_KEEP_MS } from "../../logagent/checkpoint/long-gone.ts";
import { type CheckpointRecord, NO_BYTES } from "../../logagent/checkpoint/record.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MortalDisk } from "../support/mortal-disk.ts";

let folder: string;
let clock: ManualClock;
let logged: { level: number; msg: string }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logagent-checkpoints-"));
  clock = new ManualClock();
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const current = () => join(folder, "checkpoints");
const previous = () => join(folder, "checkpoints.previous");

function open(options: { readonly seed?: number; readonly disk?: Disk } = {}): Promise<CheckpointStore> {
  return CheckpointStore.open({
    folder,
    disk: options.disk ?? nodeDisk,
    folders: { look: inodesIn },
    clock,
    random: seededRandom(options.seed ?? 1),
    logger: pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line)) }),
  });
}

function fields(path: string, ino = 7n): Omit<CheckpointRecord, "id" | "account"> {
  return {
    dev: 2n ** 63n,
    ino,
    birthtimeNs: 1_800_000_000_123_456_789n,
    path,
    entry: "/var/log/*.log",
    topic: "t",
    fingerprint: { length: 3, hash: "0123456789abcdef" },
    offset: 0,
    tail: NO_BYTES,
    seen: 3,
    seenAtMs: clock.wallMs(),
  };
}

/** Until what was begun on the disk has ended. */
async function quiet(disk: MortalDisk): Promise<void> {
  do await nextTurn();
  while (disk.pending > 0);
}

suite("CheckpointStore", () => {
  test("durable() resolves when the id is on disk, one write for all minted together", async () => {
    const store = await open();
    const records = Array.from({ length: 100 }, (_, i) => store.mint(fields(`/var/log/${i}`, BigInt(i))));
    assert.equal(new Set(records.map((record) => record.id)).size, 100);
    for (const { id } of records) assert.match(id, /^[0-9a-z]{14}$/);
    await Promise.all(records.map((record) => store.durable(record)));
    assert.ok(!existsSync(previous()), "one write");
    const again = await open();
    assert.deepEqual(
      [...again.records()],
      records.map((record) => ({ ...record, isUnsure: true })),
    );
    assert.deepEqual(again.find(records[5] as CheckpointRecord), [{ ...records[5], isUnsure: true }]);
  });

  test("touch() writes at most once in an interval", async () => {
    const disk = new MortalDisk();
    const store = await open({ disk });
    const record = store.mint(fields("/var/log/a"));
    await store.durable(record);
    const inode = statSync(current()).ino;
    for (let offset = 1; offset < 50; offset++) {
      record.offset = offset;
      store.touch();
      clock.advance(CHECKPOINT_INTERVAL_MS / 50);
      await quiet(disk);
    }
    assert.equal(statSync(current()).ino, inode, "not written yet");
    clock.advance(CHECKPOINT_INTERVAL_MS);
    await quiet(disk);
    assert.equal([...(await open()).records()][0]?.offset, 49);
  });

  test("close() writes what is not written", async () => {
    const store = await open();
    store.mint(fields("/var/log/a"));
    store.markApplied("/var/log/*.log");
    await store.close();
    await store.close();
    const again = await open();
    assert.equal([...again.records()].length, 1);
    assert.ok(again.wasApplied("/var/log/*.log"));
    assert.ok(!again.wasApplied("/var/log/other"));
  });

  test("open() uses the previous checkpoints when the newest are damaged", async () => {
    const store = await open();
    const record = store.mint(fields("/var/log/a"));
    await store.durable(record);
    record.offset = 5;
    store.touch();
    await store.close();
    const whole = readFileSync(current());
    const damages: (() => void)[] = [
      () => truncateSync(current(), whole.byteLength - 3),
      () =>
        writeFileSync(
          current(),
          Buffer.concat([whole.subarray(0, 60), Buffer.from("X"), whole.subarray(61)]),
        ),
      () => writeFileSync(current(), ""),
      () => writeFileSync(current(), Buffer.alloc(whole.byteLength)),
    ];
    for (const damage of damages) {
      writeFileSync(current(), whole);
      damage();
      logged = [];
      const again = await open();
      assert.equal([...again.records()][0]?.offset, 0);
      assert.ok(!again.lostEverything);
      assert.deepEqual(
        logged.map(({ level, msg }) => [level, msg]),
        [
          [50, "checkpoints are damaged"],
          [40, "previous checkpoints are used; some lines are sent again"],
        ],
      );
    }
  });

  test("open() uses the previous checkpoints when a crash came between the renames", async () => {
    const store = await open();
    store.mint(fields("/var/log/a"));
    await store.close();
    renameSync(current(), previous());
    assert.equal([...(await open()).records()].length, 1);
    assert.deepEqual(logged, []);
  });

  test("open() without any usable checkpoints counts every entry as applied, so that nothing is skipped", async () => {
    writeFileSync(current(), "rubbish");
    const store = await open();
    assert.ok(store.lostEverything);
    assert.ok(store.wasApplied("/var/log/*.log"));
    assert.equal(logged.at(-1)?.msg, "no checkpoints can be used; every file is read again");
    rmSync(current());
    assert.ok(!(await open()).wasApplied("/var/log/*.log"));
  });

  test("open() refuses a newer version, naming both", async () => {
    writeFileSync(current(), '{"format":"logagent checkpoints","version":3,"crc32":0}\n');
    await assert.rejects(open(), {
      code: "ECHECKPOINT_VERSION",
      message: `Cannot read checkpoints ${current()}: format version 3, expected 2 or less`,
    });
  });

  test("a crash at any point of a write leaves old or new checkpoints", async () => {
    for (let operations = 0; operations < 10; operations++) {
      rmSync(folder, { recursive: true });
      const first = await open();
      const record = first.mint(fields("/var/log/a"));
      await first.close();
      const disk = new MortalDisk();
      const second = await open({ disk });
      const [same] = second.find(record);
      assert.ok(same);
      same.offset = 9;
      second.touch();
      disk.dieAfter(operations);
      void second.persisted();
      await quiet(disk);
      const offset = [...(await open()).records()][0]?.offset;
      assert.ok(offset === 0 || offset === 9, `${offset} after ${operations} operations`);
    }
  });

  test("a failed write is shown, stops nothing, and is tried again", async () => {
    let isFull = true;
    const disk = new MortalDisk();
    const full: Disk = {
      open: (path, options) =>
        isFull && options.create
          ? Promise.reject(new Error("ENOSPC: no space left"))
          : disk.open(path, options),
      list: (path) => disk.list(path),
      makeFolder: (path) => disk.makeFolder(path),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      syncFolder: (path) => disk.syncFolder(path),
    };
    const store = await open({ disk: full });
    const record = store.mint(fields("/var/log/a"));
    await store.durable(record);
    assert.ok(!store.healthy);
    assert.equal(store.failure, `Cannot write checkpoints ${current()}: ENOSPC: no space left`);
    assert.deepEqual(
      logged.map(({ level }) => level),
      [50],
    );
    isFull = false;
    clock.advance(CHECKPOINT_RETRY_MS);
    await quiet(disk);
    assert.ok(store.healthy);
    assert.equal(store.failure, undefined);
    assert.equal([...(await open()).records()].length, 1);
  });

  test("a folder that is removed under a running agent is made again", async () => {
    const disk = new MortalDisk();
    const store = await open({ disk });
    rmSync(folder, { recursive: true });
    store.mint(fields("/var/log/a"));
    await store.persisted();
    assert.ok(!store.healthy);
    clock.advance(CHECKPOINT_RETRY_MS);
    await quiet(disk);
    assert.equal(store.failure, undefined);
    assert.equal([...(await open()).records()].length, 1);
    await store.close();
  });

  test("an agent ended in peace also where files of one that was killed were never held again: those alone stay unsure", async () => {
    const killed = await open();
    await Promise.all(
      ["gone", "held"].map((name, ino) =>
        killed.durable(killed.mint(fields(`/var/log/${name}`, BigInt(ino)))),
      ),
    );
    const unsure = (store: CheckpointStore) =>
      [...store.records()].filter(({ isUnsure }) => isUnsure).map(({ path }) => path);
    const second = await open({ seed: 2 });
    assert.deepEqual(unsure(second), ["/var/log/gone", "/var/log/held"]);
    // What whoever opens a file does.
    for (const record of second.records()) record.isUnsure = record.path === "/var/log/gone";
    second.mint(fields("/var/log/new", 9n));
    await second.close();
    for (let life = 0; life < 2; life += 1) {
      const { checkpoints } = await readAccounts(folder);
      assert.equal(checkpoints.isClosed, true);
      const next = await open();
      assert.deepEqual(unsure(next), ["/var/log/gone"]);
      await next.close();
    }
  });

  test("a file that waits for its turn is on disk at once, for it may be rotated while no agent runs", async () => {
    const disk = new MortalDisk();
    const store = await open({ disk });
    store.mint(fields("/var/log/a"));
    await quiet(disk);
    // No time has passed, and nobody asked.
    assert.deepEqual(
      [...(await open()).records()].map(({ path }) => path),
      ["/var/log/a"],
    );
    await store.close();
  });

  test("records of an agent that was away for long are kept until its entries had time to find their files", async () => {
    let store = await open();
    const { id } = store.mint(fields(join(folder, "moved.log")));
    await store.close();
    clock.advance(2 * RECORD_KEEP_MS);
    store = await open();
    store.touch();
    await store.persisted();
    assert.deepEqual(
      [...store.records()].map((record) => record.id),
      [id],
    );
    clock.advance(PRUNE_INTERVAL_MS);
    store.touch();
    await store.persisted();
    assert.deepEqual([...store.records()], []);
    await store.close();
  });

  test("records are removed when their file has long been gone, and only then", async () => {
    const store = await open();
    const stays = join(folder, "stays.log");
    const goes = join(folder, "goes.log");
    for (const path of [stays, goes]) {
      writeFileSync(path, "x");
      const { dev, ino, birthtimeNs } = statSync(path, { bigint: true });
      store.mint({ ...fields(path), dev, ino, birthtimeNs });
    }
    await store.persisted();
    renameSync(stays, join(folder, "stays.log.1"));
    unlinkSync(goes);
    clock.advance(RECORD_KEEP_MS / 2);
    await store.persisted();
    assert.equal([...store.records()].length, 2);
    clock.advance(RECORD_KEEP_MS);
    store.touch();
    await store.persisted();
    assert.deepEqual(
      [...store.records()].map((record) => record.path),
      [stays],
    );
    await store.close();
  });
});
