import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CompactionSteps } from "../../../store/replica/compaction-steps.ts";
import { ClusterBed } from "./cluster-bed.ts";
import { put } from "./replica-bed.ts";

const { signal } = new AbortController();

suite("CompactionSteps", () => {
  test("holding() lets no step be done, keeps who waits waiting, and is followed by one", async () => {
    let left = 2;
    const steps = new CompactionSteps(() => {
      left -= 1;
      return left > 0;
    });
    let isDone = false;
    const done = steps.done({ signal }).then(() => {
      isDone = true;
    });
    assert.equal(steps.isDue, true);
    const work = Promise.withResolvers<void>();
    const held = steps.holding(() => work.promise);
    assert.equal(steps.isDue, false);
    work.resolve();
    await held;
    assert.deepEqual([steps.isDue, isDone], [true, false]);
    assert.equal(steps.step(), true);
    assert.equal(steps.step(), false);
    await done;
    assert.equal(steps.isDue, false);
    await steps.holding(async () => undefined);
    assert.equal(steps.isDue, true);
  });

  test("holding() ends with its work, also when that fails", async () => {
    const steps = new CompactionSteps(() => false);
    steps.step();
    await assert.rejects(
      steps.holding(() => Promise.reject(new Error("no disk"))),
      /no disk/,
    );
    assert.equal(steps.isDue, true);
  });
});

test("ReadyLoop goes on with the compaction that a snapshot brings", async () => {
  const limits = { keptEntries: 2, flushBytes: 1, segmentBytes: 2048 };
  await using bed = await ClusterBed.open({ limits });
  const leader = await bed.elected();
  const [away] = bed.followers;
  assert.ok(away !== undefined);
  away.crash();
  for (let i = 0; i < 10; i += 1) await bed.result(put(leader.replica, `${i}`.padEnd(200, ".")));
  await bed.until("it is flushed", () => leader.state.flushedIndex === leader.replica.status.applied);
  let lastInstalled = 0;
  away.prepareState = (state) => {
    const install = state.install.bind(state);
    state.install = (image) => {
      install(image);
      state.compactSteps = 3;
      lastInstalled = image.index;
    };
  };
  await away.start();
  await bed.until("the snapshot is installed", () => lastInstalled > 0);
  await bed.until("the compaction is done", () => away.state.compactSteps === 0);
  // Nothing that was applied behind it has done it.
  assert.equal(away.replica.status.applied, lastInstalled);
});
