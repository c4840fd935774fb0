import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../../base/node-disk.ts";
import { entry, FOLDER, hardState, texts, WalBed } from "./wal-bed.ts";

const never = { next: () => 0.99, uint64: () => 0n };

suite("Wal", () => {
  test("open() makes an empty log with the identity it is given, and keeps that identity", async () => {
    const bed = new WalBed();
    const made = await bed.open();
    assert.deepEqual(made.hardState, { term: 0, vote: 0n, commit: 0 });
    assert.deepEqual(made.entries, []);
    await made.wal.close();
    const other = await bed.open({ identity: { clusterId: 5n, memberId: 6n } });
    assert.deepEqual(other.identity, { clusterId: 0xc1n, memberId: 0xa1n });
    await other.wal.close();
  });

  test("append() is there after a power cut that drops all that is not synced", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [] });
    await wal.append({ hardState: undefined, entries: [entry(1, 1), entry(2, 1, "")] });
    await wal.append({ hardState: hardState(2, 1), entries: [{ ...entry(3, 2), kind: "confChange" }] });
    bed.disk.crash({ random: never });
    const again = await bed.open();
    assert.deepEqual(texts(again.entries), ["1.1 e1.1", "2.1 ", "3.2 e3.2"]);
    assert.deepEqual(
      again.entries.map(({ kind }) => kind),
      ["normal", "normal", "confChange"],
    );
    assert.deepEqual(again.hardState, hardState(2, 1));
    await again.wal.close();
  });

  test("append() costs one write and one sync a batch", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    const before = new Map(bed.disk.counts);
    const entries = Array.from({ length: 20 }, (_, i) => entry(i + 1, 1));
    await wal.append({ hardState: hardState(1), entries });
    const cost = (operation: "write" | "sync") =>
      (bed.disk.counts.get(operation) ?? 0) - (before.get(operation) ?? 0);
    assert.deepEqual([cost("write"), cost("sync")], [1, 1]);
    await wal.close();
  });

  test("append() of entries of a lower index replaces the tail, in this run and on replay", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1), entry(2, 1), entry(3, 1)] });
    await wal.append({ hardState: hardState(2), entries: [entry(2, 2)] });
    await wal.append({ hardState: hardState(3), entries: [entry(3, 3)] });
    await wal.close();
    const again = await bed.open();
    assert.deepEqual(texts(again.entries), ["1.1 e1.1", "2.2 e2.2", "3.3 e3.3"]);
    await again.wal.close();
    const skipping = await bed.open({ after: { index: 2, term: 2 } });
    assert.deepEqual(texts(skipping.entries), ["3.3 e3.3"]);
    await skipping.wal.close();
  });

  test("append() goes over to the next segment, and replay reads all of them", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    for (let i = 1; i <= 60; i += 1) {
      await wal.append({ hardState: hardState(1, i - 1), entries: [entry(i, 1, "x".repeat(700))] });
    }
    const segments = await bed.segments();
    assert.ok(segments.length >= 6, `${segments.length} segments`);
    bed.disk.crash({ random: never });
    const again = await bed.open();
    assert.equal(again.entries.length, 60);
    assert.deepEqual(again.hardState, hardState(1, 59));
    assert.deepEqual(await bed.segments(), segments);
    await again.wal.append({ hardState: undefined, entries: [entry(61, 1)] });
    await again.wal.close();
    const third = await bed.open({ after: { index: 60, term: 1 } });
    assert.deepEqual(texts(third.entries), ["61.1 e61.1"]);
    await third.wal.close();
  });

  test("append() writes over zeros that were put there in the background", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open({ segmentBytes: 16 * 1024 });
    for (let i = 1; i <= 40; i += 1) {
      await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "x".repeat(700))] });
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    const lengths = (await bed.segments()).slice(1).map((path) => bed.disk.bytes(path).length);
    assert.ok(lengths.length > 0 && lengths.every((length) => length === 16 * 1024), `${lengths}`);
    await wal.close();
  });

  test("append() of a batch larger than a segment passes alone", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
    await wal.append({ hardState: hardState(1), entries: [entry(2, 1, "y".repeat(50_000))] });
    await wal.append({ hardState: hardState(1), entries: [entry(3, 1)] });
    bed.disk.crash({ random: never });
    const again = await bed.open();
    assert.deepEqual(
      again.entries.map(({ data }) => data.byteLength),
      [4, 50_000, 4],
    );
    await again.wal.close();
  });

  test("cut() removes the segments below an index and keeps hard state and entries behind it", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(7), entries: [] });
    for (let i = 1; i <= 40; i += 1) {
      await wal.append({ hardState: undefined, entries: [entry(i, 7, "x".repeat(700))] });
    }
    const before = await bed.segments();
    await wal.cut(2);
    assert.deepEqual(await bed.segments(), before, "no segment is wholly below");
    await wal.cut(33);
    const kept = (await bed.segments()).length;
    assert.ok(kept < before.length && kept > 1, `${kept} of ${before.length}`);
    bed.disk.crash({ random: never });
    const again = await bed.open({ after: { index: 33, term: 7 } });
    assert.deepEqual(
      again.entries.map(({ index }) => index),
      [34, 35, 36, 37, 38, 39, 40],
    );
    assert.deepEqual(again.hardState, hardState(7));
    await again.wal.close();
    const { wal: last } = await bed.open({ after: { index: 40, term: 7 } });
    await last.cut(1000);
    assert.equal((await bed.segments()).length, 1);
    await last.close();
    const empty = await bed.open({ after: { index: 40, term: 7 } });
    assert.deepEqual([empty.entries, empty.hardState], [[], hardState(7)]);
    await empty.wal.close();
  });

  test("cut() of everything but an empty segment leaves the term of the last entry known", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open({ segmentBytes: 1024 });
    await wal.append({ hardState: hardState(3), entries: [entry(1, 3)] });
    await wal.append({ hardState: hardState(3), entries: [entry(2, 3)] });
    await wal.append({ hardState: hardState(4), entries: [] });
    await wal.cut(2);
    await wal.close();
    const segments = await bed.segments();
    assert.equal(segments.length, 1);
    const again = await bed.open({ after: { index: 2, term: 3 }, segmentBytes: 1024 });
    assert.deepEqual(again.hardState, hardState(4));
    await again.wal.close();
    await assert.rejects(bed.open({ after: { index: 2, term: 2 } }), {
      code: "EWALMISMATCH",
      message: /entry 2 has term 3, the backend has applied it with term 2/,
    });
  });

  test("open() with `after` checks the skipped entries and keeps none of them", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    for (let i = 1; i <= 9; i += 1) await wal.append({ hardState: hardState(1), entries: [entry(i, 1)] });
    await wal.close();
    const again = await bed.open({ after: { index: 9, term: 1 } });
    assert.deepEqual(again.entries, []);
    await again.wal.close();
  });

  test("open() refuses a log that ends before what the backend has applied", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
    await wal.close();
    await assert.rejects(bed.open({ after: { index: 5, term: 1 } }), {
      code: "EWALMISMATCH",
      message: "Cannot read WAL in /data/wal: it ends at entry 1, the backend has applied entry 5",
    });
  });

  test("open() refuses the log of another backend, however alike the two are", async () => {
    const beds = [new WalBed({ seed: 1 }), new WalBed({ seed: 2 })] as const;
    const ids: bigint[] = [];
    for (const bed of beds) {
      const { wal, logId } = await bed.open({ segmentBytes: 1024 });
      for (let i = 1; i <= 9; i += 1) await wal.append({ hardState: hardState(1), entries: [entry(i, 1)] });
      await wal.cut(9);
      await wal.close();
      ids.push(logId);
    }
    const after = { index: 9, term: 1 };
    const [own, other] = ids;
    const message = new RegExp(
      `it is of log ${own?.toString(16)}, the backend belongs to log ${other?.toString(16)}$`,
    );
    await assert.rejects(beds[0].open({ after, logId: other }), { code: "EWALMISMATCH", message });
    const { wal, logId } = await beds[0].open({ after, logId: own });
    assert.equal(logId, own, "a log keeps its id through its segments");
    await wal.close();
  });

  test("open() refuses a folder without a segment when the backend has applied entries", async () => {
    await assert.rejects(new WalBed().open({ after: { index: 5, term: 1 } }), {
      code: "EWALMISMATCH",
      message: "Cannot read WAL in /data/wal: there is no segment, the backend has applied entry 5",
    });
  });

  test("open() refuses a log that begins behind what the backend has applied", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    for (let i = 1; i <= 40; i += 1) {
      await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "x".repeat(700))] });
    }
    await wal.cut(30);
    await wal.close();
    await assert.rejects(bed.open({ after: { index: 3, term: 1 } }), {
      code: "EWALMISMATCH",
      message: /the log begins behind entry \d+, the backend has applied entry 3/,
    });
  });

  test("append(), cut() and open() work on the machine's own disk", async () => {
    const root = await mkdtemp(join(tmpdir(), "wal-"));
    try {
      const bed = new WalBed();
      const options = { disk: nodeDisk, folder: join(root, "wal"), segmentBytes: 32 * 1024 };
      const first = await bed.open(options);
      for (let i = 1; i <= 100; i += 1) {
        await first.wal.append({ hardState: hardState(1), entries: [entry(i, 1, `${i} `.repeat(500))] });
      }
      await first.wal.cut(50);
      // Not closed, as after a kill.
      const second = await bed.open({ ...options, after: { index: 50, term: 1 } });
      assert.deepEqual(
        texts(second.entries),
        texts(Array.from({ length: 50 }, (_, i) => entry(51 + i, 1, `${51 + i} `.repeat(500)))),
      );
      await second.wal.close();
      await first.wal.close();
      assert.deepEqual(bed.logged, []);
    } finally {
      await rm(root, { recursive: true });
    }
  });

  test("open() removes a next segment that got no name", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.close();
    const file = await bed.disk.open(`${FOLDER}/next.tmp`, { create: true });
    await file.write([Buffer.from("garbage")], 0);
    const again = await bed.open();
    assert.deepEqual(await bed.disk.list(FOLDER), ["0000000000000000-0000000000000001.wal"]);
    await again.wal.close();
  });

  for (const operation of ["sync", "write"] as const) {
    test(`append() fails for good after an error of ${operation}, and names file and offset`, async () => {
      const bed = new WalBed();
      const { wal } = await bed.open();
      await wal.append({ hardState: hardState(1), entries: [entry(1, 1)] });
      bed.disk.failNth(operation, 1, operation === "sync" ? "EIO" : "ENOSPC");
      const expected = {
        code: "EWALWRITE",
        message: /^Cannot write WAL segment \/data\/wal\/\S+\.wal at offset 1024: (EIO|ENOSPC): injected/,
      };
      await assert.rejects(wal.append({ hardState: hardState(1), entries: [entry(2, 1)] }), expected);
      const writes = bed.disk.counts.get("write");
      await assert.rejects(wal.append({ hardState: hardState(1), entries: [entry(2, 1)] }), expected);
      assert.equal(bed.disk.counts.get("write"), writes, "nothing is tried again");
      await wal.close();
    });
  }

  test("append() goes on without zeros when there is no space to prepare the next segment", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1, "x".repeat(3000))] });
    bed.disk.failNth("write", 2, "ENOSPC");
    await wal.append({ hardState: hardState(1), entries: [entry(2, 1, "x".repeat(3000))] });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(bed.logged[0]?.msg, "no space to prepare the next WAL segment");
    for (let i = 3; i <= 6; i += 1) {
      await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "x".repeat(3000))] });
    }
    await wal.close();
    const again = await bed.open();
    assert.equal(again.entries.length, 6);
    await again.wal.close();
  });

  test("append() rejects with the error of a sync of the next segment", async () => {
    const bed = new WalBed();
    const { wal } = await bed.open();
    await wal.append({ hardState: hardState(1), entries: [entry(1, 1, "x".repeat(3000))] });
    bed.disk.failNth("sync", 2, "EIO");
    await wal.append({ hardState: hardState(1), entries: [entry(2, 1, "x".repeat(3000))] });
    const appends = async () => {
      for (let i = 3; i <= 6; i += 1) {
        await wal.append({ hardState: hardState(1), entries: [entry(i, 1, "x".repeat(3000))] });
      }
    };
    await assert.rejects(appends, { code: "EWALWRITE", message: /EIO: injected, sync/ });
    await wal.close();
  });
});
