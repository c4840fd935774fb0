import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Inflights } from "../../../store/raft/inflights.ts";
import { Progress, type ProgressState } from "../../../store/raft/progress.ts";

interface Wanted {
  readonly state?: ProgressState;
  readonly match?: number;
  readonly next?: number;
  readonly messages?: number;
  readonly bytes?: number;
}

/** A record in that state, reached by the transitions that lead there. In "snapshot", `next` is behind the snapshot. */
function progressIn({ state = "probe", match = 0, next = match + 1, ...limits }: Wanted): Progress {
  const { messages = 256, bytes = Number.MAX_SAFE_INTEGER } = limits;
  const progress = new Progress({
    match,
    next,
    inflights: new Inflights({ messages, bytes }),
    isLearner: false,
    recentActive: false,
  });
  if (state === "snapshot") progress.becomeSnapshot(next - 1);
  if (state === "replicate") {
    progress.becomeReplicate();
    if (next > match + 1) progress.sentEntries(next - match - 1, 10);
  }
  assert.deepEqual([progress.state, progress.match, progress.next], [state, match, next]);
  return progress;
}

suite("Progress", () => {
  test("starts in probe, and refuses a next that is not behind match", () => {
    assert.equal(progressIn({ match: 3, next: 9 }).isPaused, false);
    assert.throws(() => progressIn({ match: 3, next: 3 }), /match 3 is below its next 3/);
  });

  test("isPaused: in probe and replicate when the flow is, in snapshot always", () => {
    const paused = (state: ProgressState, appendFlowPaused: boolean) => {
      const progress = progressIn({ state });
      progress.appendFlowPaused = appendFlowPaused;
      return progress.isPaused;
    };
    assert.deepEqual([paused("probe", false), paused("probe", true)], [false, true]);
    assert.deepEqual([paused("replicate", false), paused("replicate", true)], [false, true]);
    assert.deepEqual([paused("snapshot", false), paused("snapshot", true)], [true, true]);
  });

  test("becomeProbe() goes back behind match, or behind a snapshot that did not fail", () => {
    const replicating = progressIn({ state: "replicate", match: 1, next: 5 });
    replicating.becomeProbe();
    assert.deepEqual([replicating.state, replicating.match, replicating.next], ["probe", 1, 2]);
    assert.equal(replicating.inflights.count, 0);

    const sent = progressIn({ state: "snapshot", match: 1, next: 11 });
    sent.becomeProbe();
    assert.deepEqual([sent.state, sent.next, sent.pendingSnapshot], ["probe", 11, 0]);

    const failed = progressIn({ state: "snapshot", match: 1, next: 11 });
    failed.pendingSnapshot = 0;
    failed.becomeProbe();
    assert.deepEqual([failed.state, failed.next], ["probe", 2]);

    const ahead = progressIn({ state: "snapshot", match: 1, next: 11 });
    ahead.maybeUpdate(20);
    ahead.becomeProbe();
    assert.equal(ahead.next, 21);
  });

  test("becomeReplicate() and becomeSnapshot() set next, and end the pause and what was in flight", () => {
    const progress = progressIn({ state: "replicate", match: 1, next: 5, messages: 1 });
    assert.deepEqual([progress.isPaused, progress.inflights.count], [true, 1]);
    progress.becomeSnapshot(10);
    assert.deepEqual([progress.state, progress.match, progress.next], ["snapshot", 1, 11]);
    assert.deepEqual([progress.pendingSnapshot, progress.appendFlowPaused], [10, false]);
    assert.equal(progress.inflights.count, 0);
    progress.becomeReplicate();
    assert.deepEqual([progress.state, progress.next, progress.pendingSnapshot], ["replicate", 2, 0]);
  });

  test("sentEntries() in probe pauses, unless nothing was in it, and leaves next", () => {
    const progress = progressIn({ match: 1, next: 5 });
    progress.sentEntries(0, 0);
    assert.deepEqual([progress.isPaused, progress.next], [false, 5]);
    progress.sentEntries(1, 10);
    assert.deepEqual([progress.isPaused, progress.next, progress.inflights.count], [true, 5, 0]);
  });

  test("sentEntries() in replicate moves next, and pauses when the inflights are full", () => {
    const progress = progressIn({ state: "replicate", match: 4, messages: 3, bytes: 100 });
    progress.sentEntries(2, 60);
    assert.deepEqual([progress.next, progress.inflights.count, progress.isPaused], [7, 1, false]);
    progress.sentEntries(0, 0);
    assert.deepEqual([progress.next, progress.inflights.count, progress.isPaused], [7, 1, false]);
    progress.sentEntries(1, 60);
    assert.deepEqual([progress.next, progress.inflights.count, progress.isPaused], [8, 2, true]);

    progress.inflights.freeTo(6);
    progress.appendFlowPaused = false;
    progress.sentEntries(3, 1);
    assert.deepEqual([progress.next, progress.inflights.count, progress.isPaused], [11, 2, false]);
    progress.sentEntries(1, 1);
    assert.deepEqual([progress.next, progress.inflights.count, progress.isPaused], [12, 3, true]);

    // A heartbeat was answered: one empty append may go, and pauses again.
    progress.appendFlowPaused = false;
    progress.sentEntries(0, 0);
    assert.equal(progress.isPaused, true);
  });

  test("sentEntries() is a bug in snapshot", () => {
    assert.throws(() => progressIn({ state: "snapshot", next: 3 }).sentEntries(1, 1), /Invariant broken/);
  });

  test("maybeUpdate() moves match, and next where it would be passed, and ends the pause", () => {
    for (const [index, match, next, isNews] of [
      [2, 3, 5, false],
      [3, 3, 5, false],
      [4, 4, 5, true],
      [5, 5, 6, true],
    ] as const) {
      const progress = progressIn({ match: 3, next: 5 });
      progress.appendFlowPaused = true;
      assert.equal(progress.maybeUpdate(index), isNews);
      assert.deepEqual([progress.match, progress.next, progress.appendFlowPaused], [match, next, !isNews]);
    }
  });

  test("maybeDecrementTo() in replicate goes back to match, unless the refusal is an old one", () => {
    for (const [rejected, hint, isNews, next] of [
      [5, 5, false, 10],
      [4, 4, false, 10],
      [9, 9, true, 6],
      [9, 7, true, 6],
    ] as const) {
      const progress = progressIn({ state: "replicate", match: 5, next: 10 });
      assert.equal(progress.maybeDecrementTo(rejected, hint), isNews);
      assert.deepEqual([progress.match, progress.next], [5, next]);
    }
  });

  test("maybeDecrementTo() in probe goes to the hint, never behind match, only for the last probe", () => {
    for (const [match, next, rejected, hint, isNews, then] of [
      [0, 10, 5, 5, false, 10],
      [0, 10, 9, 9, true, 9],
      [0, 2, 1, 1, true, 1],
      [0, 1, 0, 0, true, 1],
      [0, 10, 9, 2, true, 3],
      [0, 10, 9, 0, true, 1],
      [4, 10, 9, 2, true, 5],
    ] as const) {
      const progress = progressIn({ match, next });
      progress.appendFlowPaused = true;
      assert.equal(progress.maybeDecrementTo(rejected, hint), isNews);
      assert.deepEqual([progress.match, progress.next, progress.appendFlowPaused], [match, then, !isNews]);
    }
  });

  test("canBumpCommit() until a commit was sent that reaches all that is being sent", () => {
    const progress = progressIn({ state: "replicate", match: 4, next: 8 });
    assert.equal(progress.canBumpCommit(0), false);
    assert.equal(progress.canBumpCommit(5), true);
    progress.sentCommit(5);
    assert.equal(progress.canBumpCommit(5), false);
    assert.equal(progress.canBumpCommit(6), true);
    progress.sentCommit(7);
    assert.equal(progress.canBumpCommit(9), false);
    progress.sentEntries(2, 1);
    assert.equal(progress.canBumpCommit(9), true);
  });

  test("canBumpCommit() counts what was sent only as far as it surely arrives", () => {
    const told = () => {
      const progress = progressIn({ state: "replicate", match: 4, next: 8 });
      progress.sentCommit(7);
      assert.equal(progress.canBumpCommit(7), false);
      return progress;
    };
    const refused = told();
    refused.maybeDecrementTo(7, 4);
    refused.sentEntries(3, 1);
    assert.equal(refused.canBumpCommit(7), true);

    const unreachable = told();
    unreachable.becomeProbe();
    unreachable.becomeReplicate();
    unreachable.sentEntries(3, 1);
    assert.equal(unreachable.canBumpCommit(5), true);
    assert.equal(unreachable.canBumpCommit(4), false);

    const probed = progressIn({ match: 4, next: 8 });
    probed.sentCommit(7);
    probed.maybeDecrementTo(7, 5);
    probed.maybeUpdate(7);
    assert.equal(probed.canBumpCommit(6), true);

    const snapshot = told();
    snapshot.becomeSnapshot(20);
    snapshot.maybeUpdate(20);
    snapshot.becomeReplicate();
    snapshot.sentEntries(2, 1);
    assert.equal(snapshot.canBumpCommit(20), false);
    assert.equal(snapshot.canBumpCommit(21), true);
  });

  test("as() keeps everything but the role", () => {
    const progress = progressIn({ state: "replicate", match: 4, next: 8, messages: 1 });
    progress.sentCommit(7);
    progress.recentActive = true;
    const learner = progress.as("learner");
    assert.equal(learner.isLearner, true);
    assert.equal(progress.isLearner, false);
    assert.deepEqual([learner.state, learner.match, learner.next], ["replicate", 4, 8]);
    assert.deepEqual([learner.isPaused, learner.recentActive], [true, true]);
    assert.equal(learner.canBumpCommit(7), false);
    assert.equal(learner.inflights, progress.inflights);
    const snapshot = progressIn({ state: "snapshot", next: 5 }).as("voter");
    assert.deepEqual([snapshot.state, snapshot.pendingSnapshot, snapshot.isLearner], ["snapshot", 4, false]);
  });
});
