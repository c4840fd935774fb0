import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { errorCode } from "../../../base/errors.ts";
import { seededRandom } from "../../../base/random.ts";
import { readWalStart } from "../../../store/wal/open-log.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { entry, FOLDER, hardState, texts, WalBed } from "./wal-bed.ts";

const TO = { index: 100, term: 3 };
const AFTER_RESET = { term: 4, vote: 0xb2n, commit: 100 };

/** A log of `count` entries of term 2, some segments long. */
async function filled(bed: WalBed, count = 30) {
  const { wal } = await bed.open();
  for (let i = 1; i <= count; i += 1) {
    await wal.append({ hardState: hardState(2, i - 1), entries: [entry(i, 2, "x".repeat(700))] });
  }
  return wal;
}

test("readWalStart() tells whether an entry follows", async () => {
  const bed = new WalBed();
  const hasEntries = async () => (await readWalStart({ disk: bed.disk, folder: FOLDER }))?.hasEntries;
  assert.equal(await hasEntries(), undefined);
  const { wal } = await bed.open();
  assert.equal(await hasEntries(), false);
  // A member that has none may have voted.
  await wal.append({ hardState: hardState(1), entries: [] });
  await wal.append({ hardState: hardState(2), entries: [] });
  assert.equal(await hasEntries(), false);
  await wal.append({ hardState: hardState(3), entries: [entry(1, 3)] });
  assert.equal(await hasEntries(), true);
  await wal.close();
  const long = new WalBed();
  await (await filled(long)).close();
  assert.equal((await readWalStart({ disk: long.disk, folder: FOLDER }))?.hasEntries, true);
});

suite("Wal.reset()", () => {
  test("reset() leaves an empty log behind the snapshot, in this run and the next", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    assert.ok((await bed.segments()).length > 2);
    await wal.reset({ to: TO, hardState: AFTER_RESET });
    assert.equal((await bed.segments()).length, 1);
    await wal.append({ hardState: undefined, entries: [entry(101, 4), entry(102, 4)] });
    await wal.close();
    assert.deepEqual((await readWalStart({ disk: bed.disk, folder: FOLDER }))?.after, TO);
    const again = await bed.open({ after: TO });
    assert.deepEqual(texts(again.entries), ["101.4 e101.4", "102.4 e102.4"]);
    assert.deepEqual(again.compacted, TO);
    assert.deepEqual(again.hardState, AFTER_RESET);
    await again.wal.close();
  });

  test("reset() alone keeps the hard state, and the log's id", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    const { logId } = (await readWalStart({ disk: bed.disk, folder: FOLDER })) ?? {};
    await wal.reset({ to: TO, hardState: AFTER_RESET });
    await wal.close();
    const again = await bed.open({ after: TO, logId });
    assert.deepEqual(again.hardState, AFTER_RESET);
    assert.deepEqual(again.entries, []);
    assert.equal(again.logId, logId);
    await again.wal.close();
  });

  test("reset() may be below the end of the log, and be followed by another", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    await wal.reset({ to: { index: 10, term: 3 }, hardState: hardState(3, 10) });
    await wal.append({ hardState: undefined, entries: [entry(11, 3)] });
    await wal.reset({ to: { index: 20, term: 3 }, hardState: hardState(3, 20) });
    await wal.append({ hardState: undefined, entries: [entry(21, 3)] });
    await wal.close();
    const again = await bed.open({ after: { index: 20, term: 3 } });
    assert.deepEqual(texts(again.entries), ["21.3 e21.3"]);
    await again.wal.close();
  });

  test("open() refuses a backend that is behind the snapshot with which the log begins, or has another entry there", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    await wal.reset({ to: TO, hardState: AFTER_RESET });
    await wal.close();
    await assert.rejects(
      bed.open({ after: { index: 30, term: 2 } }),
      /the log begins behind entry 100, the backend has applied entry 30$/,
    );
    await assert.rejects(
      bed.open({ after: { index: 100, term: 2 } }),
      /entry 100 has term 3, the backend has applied it with term 2$/,
    );
  });

  test("open() passes over what a reset has not removed, damaged or not, and removes it", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    const before = new Map((await bed.segments()).map((path) => [path, Buffer.from(bed.disk.bytes(path))]));
    await wal.reset({ to: TO, hardState: AFTER_RESET });
    await wal.append({ hardState: undefined, entries: [entry(101, 4)] });
    await wal.close();
    const kept = await bed.lastSegment();
    // Some of the old segments are back, one of them damaged.
    let position = 0;
    for (const [path, bytes] of before) {
      position += 1;
      if (position === 2) continue;
      await (await bed.disk.open(path, { create: true })).close();
      if (position === 3) bytes.fill(7, 0, 1024);
      bed.disk.overwrite(path, bytes);
    }
    const again = await bed.open({ after: TO });
    assert.deepEqual(texts(again.entries), ["101.4 e101.4"]);
    assert.deepEqual(await bed.segments(), [kept]);
    await again.wal.close();
  });

  test("reset() leaves the log as it was or started over, at whatever operation the power goes", async () => {
    const found = { old: 0, new: 0, finished: 0, leftovers: 0 };
    for (let operations = 0; operations <= 24; operations += 1) {
      for (let seed = 1; seed <= 6; seed += 1) await cutPower({ operations, seed }, found);
    }
    // The test is worth something only if all of these happened.
    assert.ok(
      Object.values(found).every((count) => count > 3),
      JSON.stringify(found),
    );
  });

  test("reset() that fails is final, as a failed append is", async () => {
    for (const operation of ["write", "sync", "rename", "syncFolder", "remove"] as const) {
      const bed = new WalBed();
      const wal = await filled(bed, 12);
      bed.disk.failNth(operation, 1, "EIO");
      await assert.rejects(
        wal.reset({ to: TO, hardState: AFTER_RESET }),
        (error) => errorCode(error) === "EWALWRITE",
        operation,
      );
      await assert.rejects(wal.append({ hardState: undefined, entries: [entry(13, 2)] }), /EIO/);
      await wal.close().catch(() => undefined);
    }
  });

  test("cut() and reset() at the same time remove each segment once", async () => {
    const bed = new WalBed();
    const wal = await filled(bed);
    await Promise.all([wal.cut(20), wal.reset({ to: TO, hardState: AFTER_RESET }), wal.cut(25)]);
    assert.equal((await bed.segments()).length, 1);
    await wal.append({ hardState: undefined, entries: [entry(101, 4)] });
    await wal.close();
    const again = await bed.open({ after: TO });
    assert.equal(again.entries.length, 1);
    await again.wal.close();
  });
});

async function cutPower(
  { operations, seed }: { readonly operations: number; readonly seed: number },
  found: { old: number; new: number; finished: number; leftovers: number },
): Promise<void> {
  const name = `power gone after ${operations} operations, seed ${seed}`;
  const bed = new WalBed({ disk: new MemoryDisk(), seed });
  const wal = await filled(bed, 12);
  bed.disk.powerOffAfter(operations);
  let resolved = false;
  try {
    await wal.reset({ to: TO, hardState: AFTER_RESET });
    resolved = true;
    await wal.append({ hardState: undefined, entries: [entry(101, 4)] });
    found.finished += 1;
  } catch {
    assert.ok(bed.disk.isPowerOff, name);
  }
  bed.disk.crash({ random: seededRandom(seed * 31 + operations) });
  const start = await readWalStart({ disk: bed.disk, folder: FOLDER });
  if (start?.after.index === 0) {
    assert.equal(resolved, false, name);
    found.old += 1;
    const again = await bed.open();
    assert.equal(again.entries.length, 12, name);
    assert.deepEqual(again.hardState, hardState(2, 11), name);
    await again.wal.append({ hardState: undefined, entries: [entry(13, 2)] });
    await again.wal.close();
    return;
  }
  assert.deepEqual(start?.after, TO, name);
  found.new += 1;
  if ((await bed.segments()).length > 1) found.leftovers += 1;
  const again = await bed.open({ after: TO });
  assert.deepEqual(again.hardState, AFTER_RESET, name);
  assert.ok(again.entries.length <= 1, name);
  assert.equal((await bed.segments()).length, 1, name);
  const next = 101 + again.entries.length;
  await again.wal.append({ hardState: undefined, entries: [entry(next, 4)] });
  await again.wal.close();
  const third = await bed.open({ after: TO });
  assert.equal(third.entries.length, next - 100, name);
  await third.wal.close();
}

suite("Wal.open()", () => {
  test("open() refuses an entry of a lower term than the one before it", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(3), entries: [entry(1, 2), entry(2, 3)] });
    await wal.append({ hardState: hardState(3), entries: [entry(3, 2)] });
    await wal.close();
    await assert.rejects(bed.open(), (error: Error) => {
      assert.equal(errorCode(error), "EWALCORRUPT");
      assert.match(error.message, /entry 3 has term 2, expected 3 or more, as the entry before it$/);
      return true;
    });
  });

  test("open() takes an entry of a lower term than the one it replaces", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(3), entries: [entry(1, 1), entry(2, 3)] });
    await wal.append({ hardState: hardState(4), entries: [entry(2, 2), entry(3, 4)] });
    await wal.close();
    const again = await bed.open({ after: { index: 2, term: 2 } });
    assert.deepEqual(texts(again.entries), ["3.4 e3.4"]);
    await again.wal.close();
  });

  test("open() keeps as many entries before `after` as it is told, and as the log has", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    for (let i = 1; i <= 9; i += 1) {
      const term = i <= 3 ? 1 : 2;
      await wal.append({ hardState: hardState(term), entries: [entry(i, term)] });
    }
    await wal.append({ hardState: hardState(3), entries: [entry(8, 3)] });
    await wal.close();
    const after = { index: 6, term: 2 };
    for (const [keptEntries, compacted] of [
      [0, { index: 6, term: 2 }],
      [2, { index: 4, term: 2 }],
      [3, { index: 3, term: 1 }],
      [50, { index: 0, term: 0 }],
    ] as const) {
      const again = await bed.open({
        after,
        keep: { entries: keptEntries, bytes: Number.POSITIVE_INFINITY },
      });
      assert.deepEqual(again.compacted, compacted);
      const all = [1, 1, 1, 2, 2, 2, 2, 3].map((term, i) => `${i + 1}.${term} e${i + 1}.${term}`);
      assert.deepEqual(texts(again.entries), all.slice(compacted.index));
      await again.wal.close();
    }
  });

  test("open() keeps no more bytes of entries before `after` than it is told, and every entry behind it", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    const data = (index: number) => Buffer.alloc(index === 9 ? 900 : 100, index);
    for (let i = 1; i <= 9; i += 1) {
      await wal.append({ hardState: hardState(1), entries: [entry(i, 1, data(i))] });
    }
    // What was replaced does not count any more.
    await wal.append({ hardState: hardState(2), entries: [entry(5, 2, data(5)), entry(6, 2, data(6))] });
    await wal.append({ hardState: hardState(2), entries: [entry(7, 2, data(7)), entry(8, 2, data(9))] });
    await wal.close();
    const after = { index: 7, term: 2 };
    for (const [bytes, entries, first] of [
      [0, 50, 8],
      [99, 50, 8],
      [100, 50, 7],
      [350, 50, 5],
      [350, 2, 6],
      [699, 50, 2],
      [700, 50, 1],
    ] as const) {
      const again = await bed.open({ after, keep: { entries, bytes } });
      assert.equal(again.entries[0]?.index, first, `${bytes} bytes`);
      assert.deepEqual(again.compacted, { index: first - 1, term: first > 5 ? 2 : first > 1 ? 1 : 0 });
      assert.deepEqual(
        again.entries.map(({ index, term }) => [index, term]),
        [1, 1, 1, 1, 2, 2, 2, 2].map((term, i) => [i + 1, term]).slice(first - 1),
      );
      await again.wal.close();
    }
  });
});
