import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { restoreConfig } from "../../../store/raft/conf-changer.ts";
import { ProgressTracker } from "../../../store/raft/tracker.ts";
import type { ConfState } from "../../../store/raft/types.ts";

const NOBODY: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

function trackerOf(confState: Partial<ConfState>): ProgressTracker {
  const fresh = { lastIndex: 0, inflights: { messages: 4, bytes: 1000 } };
  return new ProgressTracker(restoreConfig({ ...NOBODY, ...confState }, fresh));
}

function progressOf(tracker: ProgressTracker, id: bigint) {
  const progress = tracker.progress.get(id);
  assert.ok(progress);
  return progress;
}

suite("ProgressTracker", () => {
  test("starts with nobody", () => {
    const tracker = new ProgressTracker();
    assert.deepEqual(tracker.confState(), NOBODY);
    assert.deepEqual(tracker.ids(), []);
    assert.equal(tracker.isSingleton, false);
  });

  test("ids(), voterIds() and confState() are in ascending order of the numbers", () => {
    const large = 2n ** 63n + 5n;
    const tracker = trackerOf({
      voters: [10n, 9n, large],
      votersOutgoing: [9n, 11n, 2n],
      learners: [100n, 3n],
      learnersNext: [11n, 2n],
      autoLeave: true,
    });
    assert.deepEqual(tracker.ids(), [2n, 3n, 9n, 10n, 11n, 100n, large]);
    assert.deepEqual(tracker.voterIds(), [2n, 9n, 10n, 11n, large]);
    assert.deepEqual(tracker.confState(), {
      voters: [9n, 10n, large],
      votersOutgoing: [2n, 9n, 11n],
      learners: [3n, 100n],
      learnersNext: [2n, 11n],
      autoLeave: true,
    });
  });

  test("isSingleton when one voter decides alone, whoever listens", () => {
    assert.equal(trackerOf({ voters: [1n], learners: [2n, 3n] }).isSingleton, true);
    assert.equal(trackerOf({ voters: [1n, 2n] }).isSingleton, false);
    assert.equal(trackerOf({ voters: [1n], votersOutgoing: [1n] }).isSingleton, false);
  });

  test("committed() is what a quorum's match says; learners do not count", () => {
    const tracker = trackerOf({ voters: [1n, 2n, 3n], learners: [4n, 5n] });
    for (const [id, index] of [
      [1n, 9],
      [2n, 7],
      [4n, 9],
      [5n, 9],
    ] as const)
      progressOf(tracker, id).maybeUpdate(index);
    assert.equal(tracker.committed(), 7);
  });

  test("quorumActive() while majorities of both halves were heard of; learners do not count", () => {
    const tracker = trackerOf({ voters: [1n, 2n, 3n], votersOutgoing: [3n], learners: [4n] });
    assert.equal(tracker.quorumActive(), true);
    progressOf(tracker, 1n).recentActive = false;
    assert.equal(tracker.quorumActive(), true);
    progressOf(tracker, 3n).recentActive = false;
    assert.equal(tracker.quorumActive(), false);
    progressOf(tracker, 1n).recentActive = true;
    assert.equal(tracker.quorumActive(), false);
  });

  test("recordVote() keeps a member's first answer until resetVotes()", () => {
    const tracker = trackerOf({ voters: [1n, 2n, 3n] });
    tracker.recordVote(1n, true);
    tracker.recordVote(1n, false);
    tracker.recordVote(2n, false);
    assert.deepEqual(tracker.tally(), { granted: 1, rejected: 1, result: "pending" });
    tracker.recordVote(3n, true);
    assert.deepEqual(tracker.tally(), { granted: 2, rejected: 1, result: "won" });
    assert.deepEqual([...tracker.votes.keys()], [1n, 2n, 3n]);
    tracker.resetVotes();
    assert.deepEqual(tracker.tally(), { granted: 0, rejected: 0, result: "pending" });
  });

  test("tally() counts no answers of learners and strangers", () => {
    const tracker = trackerOf({ voters: [1n], learners: [2n] });
    tracker.recordVote(2n, true);
    tracker.recordVote(7n, true);
    assert.deepEqual(tracker.tally(), { granted: 0, rejected: 0, result: "pending" });
    tracker.recordVote(1n, false);
    assert.deepEqual(tracker.tally(), { granted: 0, rejected: 1, result: "lost" });
  });
});
