import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import { systemLater } from "../../../base/later.ts";
import { readSnapshotMeta } from "../../../store/apply/snapshot-meta.ts";
import type { SnapshotStore } from "../../../store/replica/snapshot-exchange.ts";
import { memberSnapshots } from "../../../store/server/member-snapshots.ts";
import { SnapshotFolder } from "../../../store/snap/snapshot-folder.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { Log, MemberBed } from "../apply/install-bed.ts";
import { logger } from "../snap/snap-bed.ts";

const { signal } = new AbortController();
const FOLDER = "/member/snap";

async function open(bed: MemberBed): Promise<SnapshotStore> {
  const { disk, backend, state } = bed;
  const folder = await SnapshotFolder.open({
    disk,
    folder: FOLDER,
    backend,
    readMeta: readSnapshotMeta,
    logger,
  });
  return memberSnapshots({ folder, state, clock: systemClock, later: systemLater });
}

function grow(log: Log, count: number): Log {
  for (let i = 0; i < count; i += 1) log.put(`k${i % 7}`, `v${log.entries.length}`);
  return log;
}

test("memberSnapshots() makes one of all that is applied, and installs what it received", async () => {
  const log = grow(new Log(), 60);
  const leader = new MemberBed(new MemoryDisk());
  const member = new MemberBed(new MemoryDisk());
  leader.applyUpTo(log);
  member.applyUpTo(log, 20);
  const [leaders, members] = [await open(leader), await open(member)];
  const { meta, content, remove } = await leaders.make({ signal });
  assert.equal(meta.index, 60);
  await members.receive(meta, content.body);
  await remove();
  assert.equal(member.state.appliedIndex, 20);
  await members.install(meta);
  assert.equal(member.describe(), leader.describe());
  for (const bed of [leader, member]) assert.deepEqual(await bed.disk.list(FOLDER), []);
});

test("memberSnapshots().receive() makes room of those that the state has passed", async () => {
  const log = grow(new Log(), 10);
  const leader = new MemberBed(new MemoryDisk());
  const member = new MemberBed(new MemoryDisk());
  const [leaders, members] = [await open(leader), await open(member)];
  for (let round = 0; round < 5; round += 1) {
    leader.applyUpTo(log);
    const { meta, content, remove } = await leaders.make({ signal });
    await members.receive(meta, content.body);
    await remove();
    // The log came first, so that the snapshot is of no use.
    member.applyUpTo(log);
    grow(log, 10);
  }
  assert.equal((await member.disk.list(FOLDER)).length, 1);
});

test("memberSnapshots().install() of one that was not received says so", async () => {
  const bed = new MemberBed(new MemoryDisk());
  bed.applyUpTo(grow(new Log(), 3));
  const snapshots = await open(bed);
  const { meta } = await snapshots.make({ signal });
  await assert.rejects(snapshots.install(meta), { code: "ESNAPSHOT" });
});
