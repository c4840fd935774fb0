import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { nodeDisk } from "../../../base/node-disk.ts";
import { type Random, seededRandom } from "../../../base/random.ts";
import { runAtOnce } from "../../../base/steps.ts";
import { openStateMachine } from "../../../store/apply/state-machine.ts";
import { LmdbBackend } from "../../../store/backend/lmdb-backend.ts";
import { readLogId, writeLogId } from "../../../store/backend/log-id.ts";
import { RangeRequest, TxnRequest } from "../../../store/proto/gen/rpc.ts";
import type { Watcher } from "../../../store/watch/types.ts";
import { outputTexts, Received, type SpecText, specOf } from "../watch/watch-bed.ts";
import { addRandom, countedSteps, Log, MemberBed } from "./install-bed.ts";
import { bytes, hashOf } from "./state-bed.ts";

const COPY = "/copies/db";
const ALL = RangeRequest.create({ key: bytes("\0"), rangeEnd: bytes("\0") });
const installing = { code: "InstallingSnapshot", grpcCode: 14 };

/** A leader's state of `count` puts, its copy on a disk, and a member on that disk which has applied `behind` entries. */
async function twoMembers(count: number, behind: number) {
  const log = new Log();
  const leader = new MemberBed();
  for (let i = 0; i < count; i += 1) log.put(`k${i}`, `v${i}`);
  leader.applyUpTo(log);
  await leader.copyTo(COPY);
  const member = new MemberBed(leader.disk);
  member.applyUpTo(log, behind);
  return { log, leader, member };
}

suite("StateMachine.install()", () => {
  test("install() of a copy makes equal: hashes at every kept revision, leases, alarms, members", async () => {
    const seen = { compacted: 0, leases: 0, alarms: 0, members: 0 };
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = seededRandom(seed);
      const log = new Log();
      const leader = new MemberBed();
      for (let i = 0; i < 150; i += 1) {
        addRandom(log, random, leader);
        leader.applyUpTo(log);
        // Sometimes a compaction is decided and not carried out when the copy is made.
        if (random.next() < 0.05) while (leader.state.compactStep());
      }
      if (seed % 2 === 0) log.alarm(BigInt(seed), "raise");
      leader.applyUpTo(log);
      await leader.copyTo(COPY);
      const member = new MemberBed(leader.disk);
      member.applyUpTo(log, Math.floor(random.next() * 140));
      await member.state.install(COPY, countedSteps().run);
      assert.equal(member.describe(), leader.describe(), `seed ${seed}`);
      assert.equal(member.state.flushedIndex, member.state.appliedIndex);
      if (/^alarm/m.test(member.describe())) seen.alarms += 1;
      // Both go on alike.
      log.alarm(BigInt(seed), "clear");
      for (let i = 0; i < 40; i += 1) {
        addRandom(log, random, leader);
        leader.applyUpTo(log);
        member.applyUpTo(log);
      }
      while (member.state.compactStep());
      assert.equal(member.describe(), leader.describe(), `seed ${seed}, later`);
      await member.state.flush();
      await member.restart();
      assert.equal(member.describe(), leader.describe(), `seed ${seed}, after a restart`);
      const text = leader.describe();
      if (leader.state.compactRevision > 0) seen.compacted += 1;
      if (/^lease \d+ of \d+ s: k/m.test(text)) seen.leases += 1;
      if (/^member/m.test(text)) seen.members += 1;
    }
    assert.ok(
      Object.values(seen).every((count) => count > 5),
      JSON.stringify(seen),
    );
  });

  test("install() binds keys to leases, and gives no lease a deadline", async () => {
    const log = new Log();
    const leader = new MemberBed();
    log.grant(7n, 60);
    log.put("a", "1", 7n);
    log.put("b", "1", 7n);
    log.put("b", "2");
    leader.applyUpTo(log);
    await leader.copyTo(COPY);
    const member = new MemberBed(leader.disk);
    member.apply(new Log().grant(99n));
    const { lessor } = member.opened;
    lessor.promote(0);
    await member.state.install(COPY, countedSteps().run);
    assert.equal(lessor, member.opened.lessor);
    assert.equal(lessor.lookup(99n), undefined);
    assert.deepEqual([...(lessor.lookup(7n)?.keys ?? [])], ["a"]);
    assert.equal(lessor.nextDeadlineMs(), undefined);
    assert.throws(() => lessor.renew(7n, 0), { code: "NotLeader" });
    log.revoke(7n);
    member.applyUpTo(log);
    assert.equal(runAtOnce(member.state.range(ALL)).count, 1);
  });

  test("install() forgets which lease a key had", async () => {
    const log = new Log();
    log.grant(7n, 60);
    log.put("a", "1", 7n);
    const leader = new MemberBed();
    const member = new MemberBed(leader.disk);
    member.applyUpTo(log);
    log.put("a", "2");
    leader.applyUpTo(log);
    await leader.copyTo(COPY);
    await member.state.install(COPY, countedSteps().run);
    log.put("a", "3", 7n);
    for (const bed of [leader, member]) {
      bed.applyUpTo(log);
      assert.deepEqual([...(bed.opened.lessor.lookup(7n)?.keys ?? [])], ["a"]);
    }
  });

  test("install() keeps the member's own log id", async () => {
    const { leader, member } = await twoMembers(5, 0);
    writeLogId(leader.backend, 1n);
    writeLogId(member.backend, 2n);
    await member.state.install(COPY, countedSteps().run);
    assert.equal(readLogId(member.backend), 2n);
  });

  test("install() ends reads that are under way, refuses those that come meanwhile, and serves those after", async () => {
    const { log, leader, member } = await twoMembers(12_000, 11_000);
    const txn = TxnRequest.create({
      success: [{ request: { $case: "requestRange", value: ALL } }],
    });
    const reads = () => [member.state.range(ALL), member.state.readTxn(txn), member.state.hashKv(0)];
    const begun = reads();
    for (const read of begun) assert.equal(read.next().done, false);
    const done = member.state.install(COPY, countedSteps().run);
    for (const read of begun) assert.throws(() => read.next(), installing);
    for (const read of reads()) assert.throws(() => read.next(), installing);
    assert.equal(member.state.compactStep(), false);
    assert.equal(member.state.appliedIndex, 11_000);
    assert.throws(() => member.applyUpTo(log), /nothing is applied while a snapshot is installed/);
    assert.throws(
      () => member.state.install(COPY, countedSteps().run),
      /one snapshot is installed at a time/,
    );
    await done;
    assert.equal(runAtOnce(member.state.range(ALL)).count, 12_000);
    assert.deepEqual(hashOf(member.opened), hashOf(leader.opened));
  });

  test("install() works in bounded steps, and lets the event loop go in between", async () => {
    const { member } = await twoMembers(20_000, 10);
    const counted = countedSteps();
    await member.state.install(COPY, counted.run);
    assert.ok(counted.steps >= 19, `${counted.steps} steps for 20000 records`);
    const large = new Log();
    const leader = new MemberBed();
    for (let i = 0; i < 20; i += 1) large.put(`k${i}`, "x".repeat(1_000_000));
    leader.applyUpTo(large);
    await leader.copyTo(COPY);
    const other = new MemberBed(leader.disk);
    const countedLarge = countedSteps();
    await other.state.install(COPY, countedLarge.run);
    assert.ok(countedLarge.steps >= 9, `${countedLarge.steps} steps for 20 MB`);
  });

  test("install() comes after the flushes before it, and before those after", async () => {
    const { log, member } = await twoMembers(300, 200);
    const flushes = [member.state.flush(), member.state.flush()];
    const done = member.state.install(COPY, countedSteps().run);
    const later = member.state.flush();
    await Promise.all(flushes);
    assert.equal(member.state.appliedIndex, 200);
    await done;
    await later;
    assert.equal(member.state.flushedIndex, 300);
    log.put("more", "1");
    member.applyUpTo(log);
    await member.state.flush();
    assert.equal(member.state.flushedIndex, 301);
  });

  test("install() of a state that is behind trips, and nothing is served from it", async () => {
    const { log, member } = await twoMembers(10, 0);
    for (let i = 0; i < 5; i += 1) log.put("later", "1");
    member.applyUpTo(log);
    await assert.rejects(
      member.state.install(COPY, countedSteps().run),
      /the snapshot, up to entry 10, is ahead of what was applied, 15/,
    );
    assert.throws(() => member.state.range(ALL).next(), installing);
    await assert.rejects(member.state.flush());
  });

  test("install() that fails for the disk is told to flushes and reads too", async () => {
    const { member } = await twoMembers(10, 5);
    member.disk.failNth("read", 1, "EIO");
    await assert.rejects(member.state.install(COPY, countedSteps().run), /EIO/);
    assert.throws(() => member.state.range(ALL).next(), installing);
    await assert.rejects(member.state.flush(), /EIO/);
  });
});

suite("watchers over StateMachine.install()", () => {
  test("install() lets every watcher catch up from where it was: nothing missed, nothing twice", async () => {
    const seen = { slow: 0, compacted: 0, meanwhile: 0, future: 0, events: 0 };
    for (let seed = 1; seed <= 60; seed += 1) await watchersOver(seed, seen);
    assert.ok(
      Object.values(seen).every((count) => count > 10),
      JSON.stringify(seen),
    );
  });

  test("install() tells who drives the hub that watchers are behind, and none before it is done", async () => {
    const { log, member } = await twoMembers(50, 20);
    const { watchHub } = member.opened;
    let told = 0;
    watchHub.onBehind(() => {
      told += 1;
    });
    const received = new Received();
    received.watcher = watchHub.watch(specOf({ key: "k30" }), received);
    assert.equal(received.watcher.synced, true);
    const done = member.state.install(COPY, countedSteps().run);
    assert.equal(watchHub.catchUpStep(), false);
    assert.equal(received.watcher.tellProgress(), false);
    assert.equal(told, 0);
    await done;
    assert.equal(told, 1);
    assert.equal(received.watcher.tellProgress(), false, "it has not been told of all yet");
    while (watchHub.catchUpStep());
    assert.equal(received.watcher.tellProgress(), true);
    assert.deepEqual(received.texts, ["32 put k30=v30 (32..32 v1)", "progress 51"]);
    log.put("k30", "again");
    member.applyUpTo(log);
    assert.equal(received.texts.at(-1), "52 put k30=again (32..52 v2)");
  });

  test("install() tells nobody when nobody watches", async () => {
    const { member } = await twoMembers(5, 2);
    member.opened.watchHub.onBehind(() => assert.fail("nobody is behind"));
    await member.state.install(COPY, countedSteps().run);
  });
});

/** A watcher on the member that lags, and what one that never lags is told. */
interface Pair {
  readonly spec: SpecText;
  readonly own: Received;
  readonly ideal: Received;
  /** Its first revision. */
  readonly from: number;
}

async function watchersOver(
  seed: number,
  seen: { slow: number; compacted: number; meanwhile: number; future: number; events: number },
): Promise<void> {
  const random = seededRandom(seed);
  const log = new Log();
  const leader = new MemberBed();
  const member = new MemberBed(leader.disk);
  const pairs: Pair[] = [];
  const grow = (entries: number) => {
    for (let i = 0; i < entries; i += 1) {
      addRandom(log, random, leader);
      leader.applyUpTo(log);
    }
  };
  const watch = (startRevision: number) => pairs.push(pairOf({ random, leader, member, startRevision }));
  grow(20 + Math.floor(random.next() * 30));
  member.applyUpTo(log);
  for (let i = 0; i < 6; i += 1) watch(i < 3 ? 0 : 1 + Math.floor(random.next() * member.state.revision));
  watch(member.state.revision + 5 + Math.floor(random.next() * 30));
  seen.future += 1;
  // Some have a client that is slow.
  for (const { own } of pairs) if (random.next() < 0.3) own.room = Math.floor(random.next() * 2);
  for (let i = 0; i < 10; i += 1) grow(1);
  member.applyUpTo(log);
  for (let i = 0; i < 3; i += 1) member.opened.watchHub.catchUpStep();
  seen.slow += member.opened.watchHub.counts.slow;
  // The leader goes on while the member is away.
  grow(40 + Math.floor(random.next() * 60));
  await leader.copyTo(COPY);
  const done = member.state.install(COPY, countedSteps().run);
  await new Promise((resolve) => setImmediate(resolve));
  if (random.next() < 0.7) {
    watch(random.next() < 0.5 ? 0 : 1 + Math.floor(random.next() * member.state.revision));
    seen.meanwhile += 1;
  }
  const cancelled = pairs.splice(Math.floor(random.next() * pairs.length), 1)[0];
  cancelled?.own.watcher?.cancel();
  const toldBefore = cancelled?.own.outputs.length;
  await done;
  for (let i = 0; i < 2; i += 1) member.opened.watchHub.catchUpStep();
  grow(10);
  member.applyUpTo(log);
  for (const { own } of pairs) {
    own.room = Number.POSITIVE_INFINITY;
    own.watcher?.resume();
  }
  while (member.opened.watchHub.catchUpStep());
  assert.equal(cancelled?.own.outputs.length, toldBefore, "a cancelled one is told nothing");
  for (const pair of pairs) {
    const name = `seed ${seed}, ${JSON.stringify(pair.spec)} from ${pair.from}`;
    const expected = pair.ideal.texts;
    const found = pair.own.texts;
    seen.events += found.length;
    const end = found.at(-1) ?? "";
    if (end.startsWith("compacted")) {
      seen.compacted += 1;
      // What it was told before is a part of all there was, in order, from the beginning.
      assert.deepEqual(found.slice(0, -1), expected.slice(0, found.length - 1), name);
      continue;
    }
    assert.deepEqual(found, expected, name);
  }
}

/** The ideal one is on the leader and reads from memory: it is told of each revision as it comes. */
function pairOf(parts: {
  readonly random: Random;
  readonly leader: MemberBed;
  readonly member: MemberBed;
  readonly startRevision: number;
}): Pair {
  const { random, leader, member, startRevision } = parts;
  const from = startRevision > 0 ? startRevision : member.state.revision + 1;
  const spec: SpecText = {
    key: random.next() < 0.5 ? "k" : `k${Math.floor(random.next() * 12)}`,
    ...(random.next() < 0.5 ? { end: "l" } : {}),
    noPut: random.next() < 0.1,
    noDelete: random.next() < 0.1,
    startRevision: from,
  };
  const start = (bed: MemberBed, received: Received): Watcher =>
    bed.opened.watchHub.watch(specOf(spec), received);
  const own = new Received();
  own.watcher = start(member, own);
  const ideal = new Received();
  ideal.watcher = start(leader, ideal);
  while (leader.opened.watchHub.catchUpStep());
  return { spec, own, ideal, from };
}

test("StateMachine.install() over LMDB: the file is replaced under a state that serves", async () => {
  const root = await mkdtemp(join(tmpdir(), "install-"));
  try {
    const log = new Log();
    for (let i = 0; i < 4000; i += 1) log.put(`k${i % 900}`, "v".repeat(200));
    const open = async (name: string, entries: number) => {
      const backend = await LmdbBackend.open(join(root, name));
      const opened = openStateMachine({ backend, quotaBytes: -1, minLeaseTtlSeconds: 2 });
      for (const entry of log.entries.slice(0, entries)) {
        runAtOnce(opened.state.apply(entry, () => assert.fail("no change of members")));
      }
      await opened.state.flush();
      return { backend, opened };
    };
    const leader = await open("leader", 4000);
    const member = await open("member", 1500);
    await leader.backend.copy(join(root, "copy"));
    const file = await nodeDisk.open(join(root, "copy"), { create: false });
    await file.sync();
    await file.close();
    const begun = member.opened.state.hashKv(0);
    begun.next();
    const received = new Received();
    member.opened.watchHub.watch(specOf({ key: "k0", startRevision: 1 }), received);
    // A flush is under way when it begins, and others are asked for all the time.
    const entry = log.entries[1500];
    if (entry !== undefined)
      runAtOnce(member.opened.state.apply(entry, () => assert.fail("no change of members")));
    const flush = member.opened.state.flush();
    let isDone = false;
    const done = member.opened.state.install(join(root, "copy"), countedSteps().run).finally(() => {
      isDone = true;
    });
    let refused = 0;
    while (!isDone) {
      if (refused === 0) assert.throws(() => begun.next(), installing);
      assert.throws(() => member.opened.state.range(ALL).next(), installing);
      member.opened.watchHub.catchUpStep();
      member.opened.state.size();
      refused += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([flush, done]);
    assert.ok(refused > 0);
    assert.deepEqual(hashOf(member.opened), hashOf(leader.opened));
    while (member.opened.watchHub.catchUpStep());
    assert.deepEqual(
      received.outputs.flatMap(outputTexts).length,
      Math.ceil(4000 / 900),
      "each revision of k0 once",
    );
    await member.backend.close();
    const again = await open("member", 0);
    assert.deepEqual(hashOf(again.opened), hashOf(leader.opened));
    assert.equal(again.opened.state.appliedIndex, 4000);
    await Promise.all([again.backend.close(), leader.backend.close()]);
  } finally {
    await rm(root, { recursive: true });
  }
});
