import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RaftLog } from "../../../store/raft/log.ts";
import type { Entry } from "../../../store/raft/types.ts";

const ALL = { entries: 1000, bytes: 1_000_000 };

function entry(index: number, term: number, data = ""): Entry {
  return { index, term, kind: "normal", data: Buffer.from(data) };
}

function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

function emptyLog(): RaftLog {
  return new RaftLog({ entries: [], compacted: { index: 0, term: 0 }, commit: 0, applied: 0 });
}

const indexes = (list: readonly Entry[]) => list.map(({ index }) => index);

suite("RaftLog", () => {
  test("constructor() takes what the disk has as stable and lifts the commit to what is applied", () => {
    const log = new RaftLog({
      entries: entries(6, 9, 2),
      compacted: { index: 5, term: 1 },
      commit: 3,
      applied: 7,
    });
    assert.deepEqual(
      [log.lastIndex, log.stable, log.committed, log.applied, log.term(5), log.term(6), log.term(4)],
      [9, 9, 7, 7, 1, 2, undefined],
    );
  });

  test("constructor() trips over a gap in the entries", () => {
    const start = { compacted: { index: 0, term: 0 }, commit: 0, applied: 0 };
    assert.throws(() => new RaftLog({ ...start, entries: [entry(1, 1), entry(3, 1)] }), /entry 3 .* index 2/);
  });

  test("constructor() trips over a commit behind the end", () => {
    const start = { compacted: { index: 0, term: 0 }, applied: 0, entries: [entry(1, 1)] };
    assert.throws(() => new RaftLog({ ...start, commit: 2 }), /committed 2 ≤ last 1/);
  });

  test("takeUnwritten() hands each entry out once, and within the limit", () => {
    const log = emptyLog();
    log.append([entry(1, 1, "aaaa"), entry(2, 1, "bbbb"), entry(3, 1, "cccc")]);
    assert.deepEqual(indexes(log.takeUnwritten({ entries: 10, bytes: 8 })), [1, 2]);
    assert.deepEqual(log.lastWritten, { term: 1, index: 2 });
    assert.equal(log.hasUnwritten, true);
    assert.deepEqual(indexes(log.takeUnwritten({ entries: 10, bytes: 1 })), [3]);
    assert.deepEqual(indexes(log.takeUnwritten(ALL)), []);
    assert.equal(log.hasUnwritten, false);
  });

  test("stableTo() ignores a report of an entry that was replaced since", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.takeUnwritten(ALL);
    log.append(entries(2, 2, 2));
    log.takeUnwritten(ALL);
    assert.equal(log.stableTo({ term: 1, index: 3 }), false);
    assert.equal(log.stableTo({ term: 1, index: 2 }), false);
    assert.equal(log.stable, 0);
    assert.equal(log.stableTo({ term: 2, index: 2 }), true);
    assert.equal(log.stableTo({ term: 1, index: 1 }), false);
    assert.equal(log.stable, 2);
  });

  test("append() over a stable tail takes its stability back and hands the new tail out", () => {
    const log = emptyLog();
    log.append(entries(1, 5, 1));
    log.takeUnwritten(ALL);
    log.stableTo({ term: 1, index: 5 });
    log.commitTo(2);
    log.append(entries(3, 4, 2));
    assert.deepEqual([log.stable, log.lastIndex, log.last.term], [2, 4, 2]);
    assert.deepEqual(indexes(log.takeUnwritten(ALL)), [3, 4]);
  });

  test("append() trips over a gap and over a committed entry", () => {
    const log = emptyLog();
    log.append(entries(1, 3, 1));
    log.commitTo(2);
    assert.throws(() => log.append([entry(5, 1)]), /entry 5 follows the last one, 3/);
    assert.throws(() => log.append([entry(2, 2)]), /entry 2 is behind the commit, 2/);
  });

  test("takeCommitted() hands out only what is on this disk", () => {
    const log = emptyLog();
    log.append(entries(1, 4, 1));
    log.takeUnwritten(ALL);
    log.commitTo(4);
    assert.deepEqual(log.takeCommitted(ALL), []);
    log.stableTo({ term: 1, index: 2 });
    assert.deepEqual(indexes(log.takeCommitted(ALL)), [1, 2]);
  });

  test("takeCommitted() waits until what it gave before is applied, and goes on there", () => {
    const log = emptyLog();
    log.append(entries(1, 5, 1));
    log.takeUnwritten(ALL);
    log.stableTo({ term: 1, index: 5 });
    log.commitTo(5);
    assert.deepEqual(indexes(log.takeCommitted({ entries: 3, bytes: 100 })), [1, 2, 3]);
    log.appliedTo(2);
    assert.deepEqual(log.takeCommitted(ALL), []);
    log.appliedTo(3);
    assert.deepEqual(indexes(log.takeCommitted(ALL)), [4, 5]);
  });

  test("appliedTo() trips over what was not handed out", () => {
    const log = emptyLog();
    log.append(entries(1, 2, 1));
    assert.throws(() => log.appliedTo(1), /applied 1 is within .* 0 to 0/);
  });

  test("compactTo() forgets entries and keeps the term of the last one forgotten", () => {
    const log = emptyLog();
    log.append([...entries(1, 3, 1), ...entries(4, 6, 2)]);
    log.takeUnwritten(ALL);
    log.stableTo({ term: 2, index: 6 });
    log.commitTo(5);
    log.takeCommitted(ALL);
    log.appliedTo(5);
    log.compactTo(4);
    assert.deepEqual(log.compacted, { term: 2, index: 4 });
    assert.deepEqual([log.term(3), log.term(4), log.term(5), log.lastIndex], [undefined, 2, 2, 6]);
    log.compactTo(2);
    assert.deepEqual(log.compacted, { term: 2, index: 4 });
    assert.throws(() => log.compactTo(6), /compacted 6 is applied, up to 5/);
  });
});
