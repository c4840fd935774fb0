import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { errorCode } from "../../../base/errors.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { seededRandom } from "../../../base/random.ts";
import { readSnapshotMeta } from "../../../store/apply/snapshot-meta.ts";
import { LmdbBackend } from "../../../store/backend/lmdb-backend.ts";
import { readLogId, writeLogId } from "../../../store/backend/log-id.ts";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { recoverSnapshot } from "../../../store/snap/recover-snapshot.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import {
  CONF,
  collect,
  foreignSnapshot,
  inChunks,
  openFolder,
  SNAP,
  snapPath,
  stateOf,
  writeState,
} from "./snap-bed.ts";

const { signal } = new AbortController();
const SENT = { index: 100, term: 2 };
const NAME = "0000000000000064-0000000000000002.db";

async function bed() {
  const disk = new MemoryDisk();
  const backend = new MemBackend({ disk });
  await writeState(backend, { index: 5, term: 1 }, "own");
  const snapshots = await openFolder(disk, backend);
  const sent = await foreignSnapshot(new MemoryDisk(), SENT, "sent");
  return { disk, backend, snapshots, sent };
}

suite("SnapshotFolder", () => {
  test("make() copies what is committed and tells what it is; remove() takes it away", async () => {
    const { disk, backend, snapshots } = await bed();
    const made = await snapshots.make({ signal });
    assert.deepEqual(made.meta, { index: 5, term: 1, confState: CONF });
    await writeState(backend, { index: 6, term: 1 }, "later");
    const content = await collect(made.open());
    assert.equal(content.length, made.bytes);
    assert.deepEqual(await collect(made.open()), content, "it may be read again");
    await made.remove();
    await made.remove();
    assert.deepEqual(await disk.list(SNAP), []);
  });

  test("make() waits while there are two copies", async () => {
    const { snapshots } = await bed();
    const [first] = [await snapshots.make({ signal }), await snapshots.make({ signal })];
    const third = snapshots.make({ signal });
    const aborted = new AbortController();
    const fourth = snapshots.make({ signal: aborted.signal });
    aborted.abort(new Error("stopped"));
    await assert.rejects(fourth, /stopped/);
    assert.equal(
      await Promise.race([third, new Promise((resolve) => setImmediate(resolve, "waits"))]),
      "waits",
    );
    await first?.remove();
    assert.equal((await third).meta.index, 5);
  });

  test("make() that fails leaves nothing and no place taken", async () => {
    for (const operation of ["open", "write", "read"] as const) {
      const { disk, snapshots } = await bed();
      for (let i = 0; i < 4; i += 1) {
        disk.failNth(operation, operation === "open" ? 2 : 1, "ENOSPC");
        await assert.rejects(snapshots.make({ signal }), /ENOSPC/);
      }
      assert.deepEqual(await disk.list(SNAP), []);
      await (await snapshots.make({ signal })).remove();
    }
  });

  test("receive() keeps the content under its name, of no log, through a power cut", async () => {
    const { disk, backend, snapshots, sent } = await bed();
    const path = await snapshots.receive(sent.meta, inChunks(sent.content));
    assert.equal(path, snapPath(NAME));
    assert.equal(snapshots.find(SENT), path);
    assert.equal(snapshots.find({ index: 100, term: 3 }), undefined);
    disk.crash({ random: seededRandom(3) });
    const again = await openFolder(disk, backend);
    assert.equal(again.find(SENT), path);
    const copy = await backend.openCopy(path);
    assert.equal(stateOf(copy), "sent");
    assert.equal(readLogId(copy), undefined);
    await copy.close();
  });

  test("receive() refuses content that is not what was announced, and leaves nothing of it", async () => {
    const { disk, snapshots, sent } = await bed();
    const { meta, content } = sent;
    for (const other of [
      { ...meta, index: 101 },
      { ...meta, term: 3 },
      { ...meta, confState: { ...CONF, learners: [] } },
    ]) {
      await assert.rejects(snapshots.receive(other, inChunks(content)), (error: Error) => {
        assert.equal(errorCode(error), "ESNAPSHOT");
        assert.match(
          error.message,
          /: it holds entry 100 of term 2 with members 1 f+0 .+, expected entry 10/,
        );
        return true;
      });
    }
    const cut = content.subarray(0, content.length - 10);
    await assert.rejects(snapshots.receive(meta, inChunks(cut)), (error) => errorCode(error) === "EFORMAT");
    assert.deepEqual(await disk.list(SNAP), []);
  });

  test("receive() whose body or disk fails leaves nothing and no place taken", async () => {
    const { disk, snapshots, sent } = await bed();
    for (let i = 0; i < 3; i += 1) {
      const broken = async function* () {
        yield sent.content.slice(0, 100);
        throw new Error("the connection broke");
      };
      await assert.rejects(snapshots.receive(sent.meta, broken()), /the connection broke/);
    }
    for (const operation of ["open", "write", "sync", "rename", "syncFolder"] as const) {
      disk.failNth(operation, 1, "ENOSPC");
      await assert.rejects(snapshots.receive(sent.meta, inChunks(sent.content)), /ENOSPC/, operation);
    }
    await snapshots.receive(sent.meta, inChunks(sent.content));
    assert.deepEqual(await disk.list(SNAP), [NAME]);
  });

  test("receive() refuses a third one; removeUpTo() makes room", async () => {
    const { disk, snapshots, sent } = await bed();
    const later = await foreignSnapshot(new MemoryDisk(), { index: 200, term: 2 }, "later");
    await snapshots.receive(sent.meta, inChunks(sent.content));
    await snapshots.receive(later.meta, inChunks(later.content));
    const third = await foreignSnapshot(new MemoryDisk(), { index: 300, term: 2 }, "third");
    await assert.rejects(
      snapshots.receive(third.meta, inChunks(third.content)),
      /there are 2, expected less than 2$/,
    );
    await snapshots.removeUpTo(150);
    assert.equal(snapshots.find(SENT), undefined);
    await snapshots.receive(third.meta, inChunks(third.content));
    assert.equal((await disk.list(SNAP)).length, 2);
  });

  test("forget() makes room for another one, and leaves one that is being received again", async () => {
    const { disk, snapshots, sent } = await bed();
    await snapshots.receive(sent.meta, inChunks(sent.content));
    await snapshots.forget(SENT);
    assert.deepEqual([snapshots.find(SENT), await disk.list(SNAP)], [undefined, []]);
    await snapshots.forget(SENT);

    await snapshots.receive(sent.meta, inChunks(sent.content));
    const again = snapshots.receive(sent.meta, inChunks(sent.content));
    await snapshots.forget(SENT);
    await assert.rejects(
      snapshots.receive(sent.meta, inChunks(sent.content)),
      /another sender's is being received$/,
    );
    await again;
    assert.notEqual(snapshots.find(SENT), undefined);
    assert.deepEqual(await disk.list(SNAP), [NAME]);
  });

  test("open() removes what is not whole, and keeps what was received", async () => {
    const { disk, backend, snapshots, sent } = await bed();
    await snapshots.receive(sent.meta, inChunks(sent.content));
    for (const name of [
      "1.send",
      "2.send-lock",
      `${NAME.slice(0, -2)}4.part`,
      `${NAME.slice(0, -2)}4.part-lock`,
    ]) {
      await (await disk.open(snapPath(name), { create: true })).close();
    }
    const again = await openFolder(disk, backend);
    assert.deepEqual(await disk.list(SNAP), [NAME]);
    assert.ok(again.find(SENT));
  });
});

suite("recoverSnapshot()", () => {
  test("recoverSnapshot() installs the snapshot with which the log begins, and removes the rest", async () => {
    const { disk, backend, snapshots, sent } = await bed();
    writeLogId(backend, 77n);
    await backend.commit();
    const other = await foreignSnapshot(new MemoryDisk(), { index: 90, term: 2 }, "stale");
    await snapshots.receive(other.meta, inChunks(other.content));
    await snapshots.receive(sent.meta, inChunks(sent.content));
    const walStart = { after: SENT, logId: 77n };
    await recoverSnapshot({ snapshots, walStart, backend, readMeta: readSnapshotMeta });
    assert.equal(stateOf(backend), "sent");
    assert.equal(readLogId(backend), 77n);
    assert.deepEqual(await disk.list(SNAP), []);
  });

  test("recoverSnapshot() installs nothing when the backend has come as far, or there is no log", async () => {
    for (const walStart of [undefined, { after: { index: 5, term: 1 }, logId: 77n }]) {
      const { disk, backend, snapshots, sent } = await bed();
      await snapshots.receive(sent.meta, inChunks(sent.content));
      await recoverSnapshot({ snapshots, walStart, backend, readMeta: readSnapshotMeta });
      assert.equal(stateOf(backend), "own");
      assert.deepEqual(await disk.list(SNAP), []);
    }
  });

  test("recoverSnapshot() says what is missing when the snapshot is not there", async () => {
    const { backend, snapshots } = await bed();
    const walStart = { after: SENT, logId: 77n };
    await assert.rejects(recoverSnapshot({ snapshots, walStart, backend, readMeta: readSnapshotMeta }), {
      code: "ESNAPSHOT",
      message:
        "Cannot open the store: the log begins behind entry 100 of term 2, the backend has applied entry 5, and " +
        "there is no snapshot up to that entry",
    });
  });

  test("recoverSnapshot() leaves a backend alone that belongs to another log", async () => {
    const { backend, snapshots, sent } = await bed();
    writeLogId(backend, 78n);
    await snapshots.receive(sent.meta, inChunks(sent.content));
    const walStart = { after: SENT, logId: 77n };
    await recoverSnapshot({ snapshots, walStart, backend, readMeta: readSnapshotMeta });
    assert.equal(stateOf(backend), "own");
  });
});

test("SnapshotFolder carries an LMDB file from one member to another", async () => {
  const root = await mkdtemp(join(tmpdir(), "snap-"));
  try {
    const leader = await LmdbBackend.open(join(root, "leader-db"));
    writeLogId(leader, 5n);
    for (let i = 0; i < 3000; i += 1) leader.put("lease", Buffer.from(`k${i}`), Buffer.alloc(300, i & 255));
    await writeState(leader, SENT, "sent");
    const made = await (await openFolder(nodeDisk, leader, join(root, "leader-snap"))).make({ signal });
    const follower = await LmdbBackend.open(join(root, "db"));
    await writeState(follower, { index: 5, term: 1 }, "own");
    const snapshots = await openFolder(nodeDisk, follower, join(root, "snap"));
    const path = await snapshots.receive(made.meta, made.open());
    assert.deepEqual(await readdir(join(root, "snap")), [NAME]);
    await follower.install(path);
    assert.equal(stateOf(follower), "sent");
    assert.equal(readLogId(follower), undefined);
    assert.deepEqual(readSnapshotMeta(follower), made.meta);
    assert.equal([...follower.range("lease", Buffer.alloc(0), undefined, 0)].length, 3000);
    assert.deepEqual(await readdir(join(root, "snap")), []);
    await made.remove();
    assert.deepEqual(await readdir(join(root, "leader-snap")), []);
    await Promise.all([leader.close(), follower.close()]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test("MemFile has one form in bytes, whatever the order of its writes", async () => {
  const contents = await Promise.all(
    [
      ["a", "b"],
      ["b", "a"],
    ].map(async (keys) => {
      const disk = new MemoryDisk();
      await disk.makeFolder("/x");
      const backend = new MemBackend({ file: new MemFile(), disk });
      for (const key of keys) backend.put("key", Buffer.from(key), Buffer.from(key));
      await backend.commit();
      await backend.copy("/x/copy");
      return disk.bytes("/x/copy");
    }),
  );
  assert.deepEqual(contents[0], contents[1]);
});
