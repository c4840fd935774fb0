import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
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
import { audit } from "../../logagent/audit/audit.ts";
import { readAccounts } from "../../logagent/audit/read-accounts.ts";
import { decodeCheckpoints } from "../../logagent/checkpoint/checkpoint-codec.ts";
import { CheckpointStore } from "../../logagent/checkpoint/checkpoint-store.ts";
import { inodesIn } from "../../logagent/checkpoint/inodes-in.ts";
import {
  LOSSES_NEWEST_MAX,
  LOSSES_PENDING_MAX,
  LossJournal,
} from "../../logagent/checkpoint/loss-journal.ts";
import { decodeLosses, encodeLoss } from "../../logagent/checkpoint/loss-line.ts";
import { type CheckpointRecord, NO_BYTES } from "../../logagent/checkpoint/record.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MortalDisk } from "../support/mortal-disk.ts";

let folder: string;
let logged: { level: number; msg: string }[];
const clock = new ManualClock();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logagent-losses-"));
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const current = () => join(folder, "losses.jsonl");
const previous = () => join(folder, "losses.previous.jsonl");
const logger = () => pino({ base: null }, { write: (line) => void logged.push(JSON.parse(line)) });

function open(disk: Disk = nodeDisk): Promise<CheckpointStore> {
  return CheckpointStore.open({
    folder,
    disk,
    folders: { look: inodesIn },
    clock,
    random: seededRandom(1),
    logger: logger(),
  });
}

function mint(store: CheckpointStore, seen: number): CheckpointRecord {
  return store.mint({
    dev: 1n,
    ino: 7n,
    birthtimeNs: 1_800_000_000_123_456_789n,
    path: "/var/log/a.log",
    entry: "/var/log/*.log",
    topic: "t",
    fingerprint: { length: 4096, hash: "0123456789abcdef" },
    offset: 0,
    tail: NO_BYTES,
    seen,
    seenAtMs: clock.wallMs(),
  });
}

const auditedHere = async () =>
  audit(await readAccounts(folder), { places: new Map(), hasAgent: true }).problems;
const losses = (path = current()) => decodeLosses(readFileSync(path), path).losses;

suite("LossJournal", () => {
  test("open() says that the last record is gone; the audit adds up again with the next one", async () => {
    const store = await open();
    const record = mint(store, 100);
    store.lost(record, { from: 40, to: 100, reason: "rewritten in place" });
    await store.close();
    rmSync(current());
    assert.match(
      (await auditedHere()).join(),
      /loss record 1, the last of which the checkpoints know, is not in the journal/,
    );
    const again = await open();
    assert.deepEqual(
      logged.map(({ level, msg }) => [level, msg]),
      [[40, "the last loss record is not in the journal; the sums in the checkpoints stand"]],
    );
    const [found] = again.records();
    assert.ok(found !== undefined);
    again.saw(found, 60);
    again.lost(found, { from: 40, to: 60, reason: "rewritten in place" });
    await again.close();
    assert.deepEqual(await auditedHere(), []);
    logged = [];
    await (await open()).close();
    assert.deepEqual(logged, []);
  });

  test("open() names the file that it cannot read", async () => {
    mkdirSync(current());
    await assert.rejects(open(), {
      code: "EUNREADABLE",
      message: `Cannot read loss records ${current()}: it is a folder, expected a file`,
    });
    await assert.rejects(readAccounts(folder), { code: "ENOACCOUNTS" });
    rmSync(current(), { recursive: true });
    const newest = join(folder, "checkpoints");
    mkdirSync(newest);
    const expected = {
      code: "EUNREADABLE",
      message: `Cannot read checkpoints ${newest}: it is a folder, expected a file`,
    };
    await assert.rejects(open(), expected);
    await assert.rejects(readAccounts(folder), expected);
  });

  test("a loss is on disk before the checkpoint that passes over it, wherever the process dies", async () => {
    let died = 0;
    for (let operations = 0; operations < 30; operations += 1) {
      rmSync(folder, { recursive: true });
      const disk = new MortalDisk();
      const store = await open(disk);
      const record = mint(store, 100);
      await store.persisted();
      store.lost(record, { from: 40, to: 100, reason: "rewritten in place" });
      disk.dieAfter(operations);
      const written = store.persisted().then(() => true);
      const settled = async () => {
        do await nextTurn();
        while (disk.pending > 0);
        return false;
      };
      if (!(await Promise.race([written, settled()]))) died += 1;
      const again = await open();
      const { account, seen } = [...again.records()][0] as CheckpointRecord;
      assert.equal(account.seen, account.acked + account.lost + seen);
      if (account.lost === 0) continue;
      assert.deepEqual([account.lost, seen], [60, 40]);
      assert.deepEqual([losses()[0]?.from, losses()[0]?.to, losses()[0]?.number], [40, 100, 1]);
      disk.dieAfter(0);
    }
    assert.ok(died > 3, `${died}`);
  });

  test("a later life goes on behind the loss that its checkpoint knows", async () => {
    const store = await open();
    const record = mint(store, 100);
    store.lost(record, { from: 90, to: 100, reason: "shortened before it was read" });
    await store.close();
    const checkpoint = readFileSync(join(folder, "checkpoints"));
    const second = await open();
    const same = [...second.records()][0] as CheckpointRecord;
    second.lost(same, { from: 80, to: 90, reason: "shortened before it was read" });
    await second.close();
    // It died before it had written them.
    writeFileSync(join(folder, "checkpoints"), checkpoint);
    const third = await open();
    third.lost([...third.records()][0] as CheckpointRecord, {
      from: 70,
      to: 90,
      reason: "rewritten in place",
    });
    await third.close();
    assert.deepEqual(
      losses().map(({ number, after, totals }) => [number, after, totals.bytes]),
      [
        [1, 0, 10],
        [2, 1, 20],
        [3, 1, 30],
      ],
    );
    const path = join(folder, "checkpoints");
    assert.equal(decodeCheckpoints(readFileSync(path), path).losses, 3);
    assert.equal((await open()).newestLosses[0]?.from, 70);
  });

  test("a full journal becomes the previous one; numbers and sums go on", async () => {
    const store = await open();
    const record = mint(store, 10_000);
    await store.persisted();
    const content = { records: [], entries: new Map(), losses: 0, isClosed: true };
    const removed = { ...record.account, seen: 0, files: 0 };
    const options = { folder, disk: nodeDisk, logger: logger(), bytesMax: 1_500 };
    const journal = await LossJournal.open(options, { ...content, removed });
    for (let seen = 9_999; seen > 9_980; seen -= 1) {
      journal.note(record, { from: seen, to: seen + 1, reason: "shortened before it was read" }, 0);
      await journal.flush();
    }
    assert.ok(readFileSync(current()).length <= 1_500);
    assert.ok(readFileSync(previous()).length <= 1_500);
    const all = [...losses(previous()), ...losses()];
    assert.deepEqual(
      all.map(({ totals }) => totals.bytes),
      all.map(({ number }) => number),
    );
    assert.equal(all.at(-1)?.number, 19);
    assert.equal(journal.newest.length, LOSSES_NEWEST_MAX);
  });

  test("what is noted while others are written is written next", async () => {
    const record = mint(await open(), 10_000);
    const removed = { ...record.account, seen: 0, files: 0 };
    const nothing = { records: [], entries: new Map(), losses: 0, isClosed: true, removed };
    const journal = await LossJournal.open({ folder, disk: nodeDisk, logger: logger() }, nothing);
    const note = () =>
      journal.note(record, { from: 0, to: "unknown", reason: "gone while nobody held it" }, 0);
    note();
    const flushed = journal.flush();
    note();
    await flushed;
    await journal.flush();
    assert.deepEqual(
      losses().map(({ number }) => number),
      [1, 2],
    );
  });

  test("what cannot be written is kept up to a limit, and summed up beyond it", async () => {
    let isFull = true;
    const disk: Disk = {
      ...nodeDisk,
      open: (path, options) =>
        isFull && options.create ? Promise.reject(new Error("no space left")) : nodeDisk.open(path, options),
    };
    const record = mint(await open(), 10_000);
    const removed = { ...record.account, seen: 0, files: 0 };
    const nothing = { records: [], entries: new Map(), losses: 0, isClosed: true, removed };
    const journal = await LossJournal.open({ folder, disk, logger: logger() }, nothing);
    for (let i = 1; i <= LOSSES_PENDING_MAX + 5; i += 1) {
      journal.note(record, { from: 10_000 - i, to: 10_001 - i, reason: "rewritten in place" }, 0);
    }
    await assert.rejects(journal.flush(), /no space left/);
    isFull = false;
    await journal.flush();
    const all = losses();
    assert.equal(all.length, LOSSES_PENDING_MAX);
    assert.deepEqual(all.at(-1)?.others, { bytes: 5, unknown: 0, records: 5 });
    assert.deepEqual(all.at(-1)?.totals, { bytes: LOSSES_PENDING_MAX + 5, unknown: 0 });
  });

  test("a last line that is torn is cut off, a damaged one is said, a newer version refused", async () => {
    const store = await open();
    const record = mint(store, 100);
    store.lost(record, { from: 90, to: 100, reason: "rewritten in place" });
    await store.close();
    const [first] = losses();
    assert.ok(first !== undefined);
    writeFileSync(current(), Buffer.concat([Buffer.from("nonsense\n"), readFileSync(current())]));
    appendFileSync(current(), '{"version":1,"num');
    const second = await open();
    assert.ok(logged.some(({ msg }) => msg === "loss records are damaged"));
    second.lost([...second.records()][0] as CheckpointRecord, {
      from: 90,
      to: "unknown",
      reason: "rewritten in place",
    });
    await second.close();
    assert.deepEqual(
      losses().map(({ number }) => number),
      [1, 2],
    );
    assert.equal(decodeLosses(readFileSync(current()), current()).damaged.length, 1);
    assert.deepEqual(decodeLosses(encodeLoss(first), "x").losses, [first]);
    appendFileSync(current(), '{"version":2}\n');
    await assert.rejects(open(), {
      code: "ELOSSES_VERSION",
      message: `Cannot read losses ${current()}: format version 2, expected 1 or less`,
    });
    assert.ok(!existsSync(previous()));
  });

  test("what a power cut left of a write, its blocks in any order, is no damage, also when lines follow it", async () => {
    const store = await open();
    const record = mint(store, 100);
    store.lost(record, { from: 90, to: 100, reason: "rewritten in place" });
    await store.close();
    const whole = readFileSync(current());
    const [first] = losses();
    assert.ok(first !== undefined);
    // Of two lines of a later write the first never came to the disk, and no checkpoint knows of them.
    const later = encodeLoss({ ...first, number: 3, after: 1 });
    appendFileSync(current(), Buffer.concat([Buffer.from("\0".repeat(200)), Buffer.from("\n"), later]));
    const { damaged, losses: read } = await readAccounts(folder);
    assert.deepEqual(damaged, []);
    assert.deepEqual([...read.keys()], [1, 3]);
    const second = await open();
    await second.close();
    assert.deepEqual(readFileSync(current()), whole);
    assert.ok(!logged.some(({ msg }) => msg === "loss records are damaged"));
  });

  test("a file that is gone for long with bytes nobody has shipped is in a loss record", async () => {
    const { PRUNE_INTERVAL_MS, RECORD_KEEP_MS } = await import("../../logagent/checkpoint/long-gone.ts");
    const store = await open();
    mint(store, 100);
    await store.persisted();
    clock.advance(RECORD_KEEP_MS + PRUNE_INTERVAL_MS);
    store.touch();
    await store.persisted();
    assert.deepEqual([...store.records()], []);
    await store.close();
    assert.deepEqual(
      losses().map(({ from, to, reason }) => [from, to, reason]),
      [
        [0, 100, "gone while nobody held it"],
        [100, "unknown", "gone while nobody held it"],
      ],
    );
    const path = join(folder, "checkpoints");
    const { removed } = decodeCheckpoints(readFileSync(path), path);
    assert.deepEqual([removed.files, removed.seen, removed.lost, removed.lossesUnknown], [1, 100, 100, 1]);
  });

  test("checkpoints of version 1 are read, as if each file had been read from its start", async () => {
    const { crc32 } = await import("node:zlib");
    const record = { id: "a", path: "/a", dev: "1", ino: "2", birthtimeNs: "3", offset: 7, seen: 9 };
    const body = `{"/a":5}\n${JSON.stringify(record)}\n`;
    const header = { format: "logagent checkpoints", version: 1, crc32: crc32(body), isClosed: true };
    const content = decodeCheckpoints(Buffer.from(`${JSON.stringify(header)}\n${body}`), "x");
    const { seen, acked, lost } = content.records[0]?.account ?? {};
    assert.deepEqual([seen, acked, lost, content.losses, content.entries.get("/a")], [9, 7, 0, 0, 5]);
  });
});
