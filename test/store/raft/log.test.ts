import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RaftLog } from "../../../store/raft/log.ts";
import type { ConfState, Entry, SnapshotMeta } from "../../../store/raft/types.ts";

const START = { entries: [], compacted: { index: 0, term: 0 }, commit: 0, applied: 0, applyingBytes: 100 };
const NOBODY: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const ALL_GONE = { entries: 0, bytes: 0 };

function entry(index: number, term: number, data = ""): Entry {
  return { index, term, kind: "normal", data: Buffer.from(data) };
}

function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

function emptyLog(applyingBytes = 100): RaftLog {
  return new RaftLog({ ...START, applyingBytes });
}

/** With these entries on disk, committed and applied. */
function appliedLog(list: readonly Entry[], applied: number): RaftLog {
  return new RaftLog({ ...START, entries: list, commit: applied, applied });
}

function snapshot(index: number, term: number): SnapshotMeta {
  return { index, term, confState: NOBODY };
}

/** Hands everything to the disk, and lets it arrive there. */
function settle(log: RaftLog): void {
  log.takeUnwritten();
  log.stableTo(log.last);
}

const indexes = (list: readonly Entry[]) => list.map(({ index }) => index);
const terms = (log: RaftLog) =>
  Array.from({ length: log.lastIndex - log.compacted.index }, (_, i) =>
    log.term(log.compacted.index + i + 1),
  );

suite("RaftLog: the start", () => {
  test("constructor() takes what the disk has as stable and lifts the commit to what is applied", () => {
    const log = new RaftLog({
      ...START,
      entries: entries(6, 9, 2),
      compacted: { index: 5, term: 1 },
      commit: 3,
      applied: 7,
    });
    assert.deepEqual([log.lastIndex, log.isStable, log.committed, log.applied], [9, true, 7, 7]);
    assert.deepEqual([log.term(4), log.term(5), log.term(6), log.term(10)], [undefined, 1, 2, undefined]);
    assert.deepEqual(log.takeUnwritten(), []);
  });

  test("constructor() trips over a gap in the entries", () => {
    const gap = [entry(1, 1), entry(3, 1)];
    assert.throws(() => new RaftLog({ ...START, entries: gap }), /entry 3 .* index 2/);
  });

  test("constructor() trips over a commit behind the end", () => {
    assert.throws(() => new RaftLog({ ...START, entries: [entry(1, 1)], commit: 2 }), /committed 2 ≤ last 1/);
  });
});

suite("RaftLog: on its way to the disk", () => {
  test("takeUnwritten() hands each entry out once", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    assert.deepEqual(indexes(log.takeUnwritten()), [1, 2, 3]);
    assert.deepEqual(log.takeUnwritten(), []);
    log.append(entries(4, 4, 1));
    assert.deepEqual(indexes(log.takeUnwritten()), [4]);
  });

  test("stableTo() ignores a report of an entry that was replaced since", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.takeUnwritten();
    log.append(entries(2, 2, 2));
    log.takeUnwritten();
    log.commitTo(2);
    log.stableTo({ term: 1, index: 3 });
    log.stableTo({ term: 1, index: 2 });
    assert.deepEqual([log.isStable, indexes(log.takeCommitted())], [false, []]);
    log.stableTo({ term: 2, index: 2 });
    log.stableTo({ term: 1, index: 1 });
    assert.deepEqual([log.isStable, indexes(log.takeCommitted())], [true, [1, 2]]);
  });

  test("stableTo() trips over an entry that was never handed out", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    assert.throws(() => log.stableTo({ term: 1, index: 3 }), /entry 3 on disk was handed out, up to 0/);
  });

  test("append() over a stable tail takes its stability back and hands the new tail out", () => {
    const log = emptyLog();
    log.append(entries(1, 5, 1));
    settle(log);
    log.commitTo(2);
    log.append(entries(3, 4, 2));
    assert.deepEqual([log.isStable, log.lastIndex, log.last.term], [false, 4, 2]);
    assert.deepEqual(indexes(log.takeUnwritten()), [3, 4]);
  });

  test("append() over a tail that is being written hands the new tail out", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.takeUnwritten();
    log.append(entries(2, 3, 2));
    assert.deepEqual(
      log.takeUnwritten().map(({ index, term }) => [index, term]),
      [
        [2, 2],
        [3, 2],
      ],
    );
  });

  test("append() trips over a gap and over a committed entry", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.commitTo(2);
    assert.throws(() => log.append([entry(5, 1)]), /entry 5 follows the last one, 3/);
    assert.throws(() => log.append([entry(2, 2)]), /entry 2 is behind the commit, 2/);
  });
});

suite("RaftLog: a leader's entries", () => {
  const made = () => appliedLog([...entries(1, 2, 1), ...entries(3, 4, 3)], 1);

  test("appendBehind() refuses what has no common entry, and changes nothing", () => {
    for (const prev of [
      { index: 4, term: 2 },
      { index: 5, term: 3 },
      { index: 2, term: 3 },
    ]) {
      const log = made();
      assert.equal(log.appendBehind(prev, entries(prev.index + 1, prev.index + 1, 4)), undefined);
      assert.deepEqual(terms(log), [1, 1, 3, 3]);
    }
  });

  test("appendBehind() keeps what is there already, and what a late message does not know of", () => {
    const log = made();
    assert.equal(log.appendBehind({ index: 2, term: 1 }, entries(3, 3, 3)), 3);
    assert.equal(log.appendBehind({ index: 2, term: 1 }, []), 2);
    assert.deepEqual(terms(log), [1, 1, 3, 3]);
    assert.deepEqual(log.takeUnwritten(), [], "nothing is written again");
  });

  test("appendBehind() writes from the first entry on that differs", () => {
    const log = made();
    const news = [entry(3, 3), entry(4, 4), entry(5, 4)];
    assert.equal(log.appendBehind({ index: 2, term: 1 }, news), 5);
    assert.deepEqual(terms(log), [1, 1, 3, 4, 4]);
    assert.deepEqual(indexes(log.takeUnwritten()), [4, 5]);
  });

  test("lastPossibleMatch() passes over entries of terms that are too new", () => {
    const log = appliedLog([entry(1, 1), entry(2, 2), ...entries(3, 5, 5), entry(6, 6)], 0);
    assert.deepEqual(log.lastPossibleMatch(6, 9), { index: 6, term: 6 });
    assert.deepEqual(log.lastPossibleMatch(6, 5), { index: 5, term: 5 });
    assert.deepEqual(log.lastPossibleMatch(6, 4), { index: 2, term: 2 });
    assert.deepEqual(log.lastPossibleMatch(1, 0), { index: 0, term: 0 });
  });

  test("lastPossibleMatch() ends where the log is forgotten", () => {
    const log = new RaftLog({
      ...START,
      entries: entries(4, 5, 7),
      compacted: { index: 3, term: 7 },
      applied: 3,
    });
    assert.deepEqual(log.lastPossibleMatch(5, 2), { index: 2, term: 0 });
  });

  test("isUpToDate() compares last terms, then lengths (Raft §5.4.1)", () => {
    const log = appliedLog([entry(1, 1), entry(2, 3)], 0);
    const judged = [
      { index: 9, term: 2 },
      { index: 1, term: 3 },
      { index: 2, term: 3 },
      { index: 1, term: 4 },
    ].map((their) => log.isUpToDate(their));
    assert.deepEqual(judged, [false, false, true, true]);
  });

  test("entriesFrom() gives as many as the bytes allow, and one at least", () => {
    const log = emptyLog();
    log.append([entry(1, 1, "aaaa"), entry(2, 1, "bbbb"), entry(3, 1, "cccc")]);
    assert.deepEqual(indexes(log.entriesFrom(1, 8)), [1, 2]);
    assert.deepEqual(indexes(log.entriesFrom(2, 1)), [2]);
    assert.deepEqual(indexes(log.entriesFrom(2, 100)), [2, 3]);
    assert.deepEqual(indexes(log.entriesFrom(4, 100)), []);
  });
});

suite("RaftLog: committed and applied", () => {
  test("takeCommitted() hands out only what is on this disk", () => {
    const log = emptyLog();
    log.append(entries(1, 4, 1));
    log.takeUnwritten();
    log.commitTo(4);
    assert.deepEqual(log.takeCommitted(), []);
    log.stableTo({ term: 1, index: 2 });
    assert.deepEqual(indexes(log.takeCommitted()), [1, 2]);
    assert.deepEqual(log.takeCommitted(), []);
  });

  test("takeCommitted() bounds the bytes that are being applied, and goes on when some are", () => {
    const log = emptyLog(8);
    log.append(Array.from({ length: 5 }, (_, i) => entry(i + 1, 1, "aaaa")));
    settle(log);
    log.commitTo(5);
    assert.deepEqual(indexes(log.takeCommitted()), [1, 2]);
    assert.deepEqual(log.takeCommitted(), []);
    log.appliedTo(1);
    assert.deepEqual(indexes(log.takeCommitted()), [3]);
    log.appliedTo(3);
    assert.deepEqual(indexes(log.takeCommitted()), [4, 5]);
  });

  test("takeCommitted() lets one entry above the bound pass alone", () => {
    const log = emptyLog(8);
    log.append([entry(1, 1, "a".repeat(20)), entry(2, 1, "b")]);
    settle(log);
    log.commitTo(2);
    assert.deepEqual(indexes(log.takeCommitted()), [1]);
    assert.deepEqual(log.takeCommitted(), []);
    log.appliedTo(1);
    assert.deepEqual(indexes(log.takeCommitted()), [2]);
  });

  test("commitTo() never goes back, nor beyond the log", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.commitTo(2);
    log.commitTo(1);
    assert.equal(log.committed, 2);
    assert.throws(() => log.commitTo(4), /commit 4 is in the log, which ends at 3/);
  });

  test("appliedTo() trips over what was not handed out", () => {
    const log = emptyLog();
    log.append(entries(1, 2, 1));
    assert.throws(() => log.appliedTo(1), /applied 1 was handed out, up to 0/);
  });

  test("hasUnapplied() looks at what is committed and not applied", () => {
    const log = emptyLog();
    log.append([{ ...entry(1, 1), kind: "confChange" }, entry(2, 1), { ...entry(3, 1), kind: "confChange" }]);
    settle(log);
    assert.equal(log.hasUnapplied("confChange"), false);
    log.commitTo(2);
    assert.equal(log.hasUnapplied("confChange"), true);
    log.takeCommitted();
    log.appliedTo(1);
    assert.equal(log.hasUnapplied("confChange"), false);
    assert.equal(log.hasUnapplied("normal"), true);
  });
});

suite("RaftLog: what is forgotten", () => {
  test("compactTo() forgets entries and keeps the term of the last one forgotten", () => {
    const log = appliedLog([...entries(1, 3, 1), ...entries(4, 6, 2)], 5);
    assert.equal(log.compactTo(4, ALL_GONE), 4);
    assert.deepEqual(log.compacted, { term: 2, index: 4 });
    assert.deepEqual([log.term(3), log.term(4), log.term(5), log.lastIndex], [undefined, 2, 2, 6]);
    assert.equal(log.compactTo(2, ALL_GONE), 4);
    assert.throws(() => log.compactTo(6, ALL_GONE), /compacted 6 is applied, up to 5/);
  });

  test("compactTo() keeps the newest entries, within both bounds", () => {
    const ten = Array.from({ length: 10 }, (_, i) => entry(i + 1, 1, "aaaa"));
    assert.equal(appliedLog(ten, 9).compactTo(8, { entries: 3, bytes: 1000 }), 5);
    assert.equal(appliedLog(ten, 9).compactTo(8, { entries: 100, bytes: 9 }), 6);
    assert.equal(appliedLog(ten, 9).compactTo(8, { entries: 100, bytes: 1000 }), 0);
  });
});

suite("RaftLog: a snapshot", () => {
  test("restore() starts over behind the snapshot; nothing is applied until it is installed", () => {
    const log = appliedLog(entries(1, 3, 1), 2);
    log.restore(snapshot(10, 4));
    assert.deepEqual([log.last, log.committed, log.applied], [{ index: 10, term: 4 }, 10, 2]);
    assert.deepEqual([log.hasSnapshot, log.takeSnapshot()?.index, log.takeSnapshot()], [true, 10, undefined]);
    log.append(entries(11, 12, 4));
    settle(log);
    log.commitTo(12);
    assert.deepEqual(log.takeCommitted(), []);
    log.snapshotInstalled(10);
    assert.deepEqual([log.hasSnapshot, log.applied, indexes(log.takeCommitted())], [false, 10, [11, 12]]);
  });

  test("restore() trips over a snapshot that is behind the commit", () => {
    assert.throws(() => appliedLog(entries(1, 3, 1), 3).restore(snapshot(3, 1)), /snapshot 3 is ahead of/);
  });

  test("snapshotInstalled() of an older snapshot leaves the newer one to be installed", () => {
    const log = emptyLog();
    log.restore(snapshot(5, 1));
    log.takeSnapshot();
    log.restore(snapshot(9, 2));
    log.snapshotInstalled(5);
    assert.deepEqual([log.hasSnapshot, log.applied, log.takeSnapshot()?.index], [true, 5, 9]);
    log.snapshotInstalled(9);
    assert.deepEqual([log.hasSnapshot, log.applied], [false, 9]);
  });

  test("appliedTo() of entries from before a snapshot is taken in while that is being installed", () => {
    const log = emptyLog(8);
    log.append(Array.from({ length: 4 }, (_, i) => entry(i + 1, 1, "aaaa")));
    settle(log);
    log.commitTo(4);
    assert.deepEqual(indexes(log.takeCommitted()), [1, 2]);
    log.restore(snapshot(9, 2));
    log.appliedTo(2);
    assert.equal(log.applied, 2);
    log.snapshotInstalled(9);
    log.append([entry(10, 2, "bbbb"), entry(11, 2, "bbbb")]);
    settle(log);
    log.commitTo(11);
    assert.deepEqual(indexes(log.takeCommitted()), [10, 11], "bytes of the old entries no longer count");
  });
});
