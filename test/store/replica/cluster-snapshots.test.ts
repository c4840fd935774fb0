import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ClusterBed, ELECTION_MS, type Member } from "./cluster-bed.ts";
import { put, read } from "./replica-bed.ts";

/** The log is kept no longer than it must be: who was away needs a snapshot. */
const FORGETFUL = { keptEntries: 2, flushBytes: 1, segmentBytes: 2048 };

/** A cluster that has gone on without one of its followers, until its log reaches back to it no more. */
async function withoutOne(bed: ClusterBed): Promise<{ readonly leader: Member; readonly away: Member }> {
  const leader = await bed.elected();
  const [away] = bed.followers;
  assert.ok(away !== undefined);
  await bed.result(put(leader.replica, "with all"));
  away.crash();
  await goOn(bed, leader);
  return { leader, away };
}

let counter = 0;

/** Proposes until everything so far is forgotten. */
async function goOn(bed: ClusterBed, leader: Member): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    counter += 1;
    await bed.result(put(leader.replica, `v${counter}`.padEnd(200, ".")));
  }
  await bed.until("it is flushed", () => leader.state.flushedIndex === leader.replica.status.applied);
}

suite("ReadyLoop, a follower whose entries are gone", () => {
  test("gets a snapshot, and goes on from there", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    await away.start();
    assert.equal(bed.network.snapshots, 0);
    await bed.settled();
    assert.equal(bed.network.snapshots, 1);
    const { lastIndex } = leader.replica.status;
    await bed.until("the leader knows", () => leader.replica.progress().get(away.id)?.match === lastIndex);
    assert.equal(leader.replica.progress().get(away.id)?.state, "replicate");
    await bed.result(put(away.replica, "at the one that was away"));
    await bed.result(read(away.replica));
    const values = await bed.settled();
    assert.deepEqual([values[0], values.at(-1), values.length], ["with all", "at the one that was away", 12]);
    assert.deepEqual([bed.network.snapshots, leader.snapshots.copies], [1, 0]);
  });

  test("keeps what it got over a crash, and is a leader like any other", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    await away.start();
    const values = await bed.settled();
    away.crash();
    await away.start();
    assert.deepEqual(await bed.settled(), values);
    assert.deepEqual([bed.network.snapshots, away.recovered], [1, 0]);
    const { signal } = new AbortController();
    await bed.result(leader.replica.transferLeader(away.id, { signal }));
    leader.crash();
    await bed.result(put(away.replica, "as a leader"));
    await leader.start();
    assert.equal((await bed.settled()).at(-1), "as a leader");
  });

  test("is served a read only when the snapshot is in its state", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    await away.start();
    await bed.until("it follows", () => away.replica.status.leader === leader.id);
    const promised = leader.state.values;
    await bed.result(read(away.replica));
    assert.deepEqual(away.state.values.slice(0, promised.length), promised);
  });

  test("the leader goes on meanwhile, and the snapshot holds what is newest", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    const { term } = leader.replica.status;
    await away.start();
    for (let i = 0; i < 30; i += 1) await bed.result(put(leader.replica, `meanwhile ${i}`));
    assert.equal((await bed.settled()).at(-1), "meanwhile 29");
    assert.deepEqual([bed.leader, leader.replica.status.term], [leader, term]);
  });

  test("gets another one when the first did not arrive", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    await away.start();
    await bed.until("one is on its way", () => leader.snapshots.copies === 1);
    bed.network.cut(leader.id, away.id);
    await bed.until("it broke", () => leader.snapshots.copies === 0);
    assert.equal(bed.network.snapshots, 0);
    // Long enough for the log to have forgotten what the first one held, short enough for no election.
    await goOn(bed, leader);
    bed.network.heal();
    await bed.settled();
    assert.ok(bed.network.snapshots >= 1);
  });

  test("the leader closes while one is on its way, and the next leader sends another", async () => {
    await using bed = await ClusterBed.open({ limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    await away.start();
    await bed.until("one is on its way", () => leader.snapshots.copies === 1);
    const { snapshots } = leader;
    await bed.result(leader.close());
    assert.equal(snapshots.copies, 0);
    await bed.result(put(away.replica, "after"));
    assert.equal((await bed.settled()).at(-1), "after");
  });

  test("recovers from a crash at every point of receiving and installing it", async () => {
    await using bed = await ClusterBed.open({ seed: 3, limits: FORGETFUL });
    const { leader, away } = await withoutOne(bed);
    const promised = () => leader.state.values.slice();
    let crashes = 0;
    for (let operations = 1; ; operations += 1) {
      away.disk.powerOffAfter(operations);
      const isThere = await startUntil(bed, { away, leader });
      if (isThere && !away.disk.isPowerOff) break;
      crashes += 1;
      if (away.isRunning) away.crash();
      else away.crashStart();
      // With power: whatever was left, it comes to have all that the others have.
      await away.start();
      const values = promised();
      await bed.until("it has all", () => away.state.appliedIndex >= leader.state.appliedIndex);
      assert.deepEqual(away.state.values.slice(0, values.length), values, `after ${operations} operations`);
      away.crash();
      await goOn(bed, leader);
    }
    assert.ok(crashes > 20, `${crashes} crashes`);
    assert.ok(away.recovered > 0, "some came between the log and the state");
    await bed.settled();
  });
});

/** Starts a member that may lose its power; false when it did before it had everything. */
async function startUntil(
  bed: ClusterBed,
  { away, leader }: { readonly away: Member; readonly leader: Member },
): Promise<boolean> {
  try {
    await away.start();
  } catch (error) {
    if (!away.disk.isPowerOff) throw error;
    return false;
  }
  const index = leader.state.appliedIndex;
  await bed.until(
    "it is there, or its power is gone",
    () => away.disk.isPowerOff || away.state.appliedIndex >= index,
    5 * ELECTION_MS,
  );
  return away.state.appliedIndex >= index;
}
