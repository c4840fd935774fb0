import assert from "node:assert/strict";
import { test } from "node:test";
import { History } from "./history.ts";
import type { KeyAt } from "./revisions.ts";

/** The checker itself: what a store may do passes, and each kind of wrong is seen. */
const KEY = "register/00";
const OTHER = "register/01";

test("History accepts acknowledged writes, reads of them, and lost answers either way", () => {
  const { history, tell } = setUp();
  const first = history.beginWrite("put", [KEY], "a");
  const lost = history.beginWrite("put", [KEY], "b");
  const never = history.beginWrite("put", [KEY], "c");
  const stale = history.beginRead("serializable read");
  history.wrote(first, 2);
  history.lostSight(lost, "timeout");
  history.lostSight(never, "timeout");
  tell(put(KEY, "a", 2));
  tell(put(KEY, "b", 3, { createRevision: 2, version: 2 }));
  const read = history.beginRead("read");
  history.saw(read, seen([put(KEY, "b", 3, { createRevision: 2, version: 2 })], 3));
  history.saw(stale, { ...seen([put(KEY, "a", 2)], 2), stale: true });
  const remove = history.beginWrite("delete", [KEY], undefined);
  tell(gone(KEY, 4));
  history.wrote(remove, 4);
  history.assertDeletesExplained();
  assert.deepEqual(history.violations, []);
  assert.equal(history.waiting, 0);
});

test("History sees an acknowledged write that is not in the history", () => {
  const { history, tell } = setUp();
  const kept = history.beginWrite("put", [KEY], "a");
  history.wrote(history.beginWrite("put", [OTHER], "b"), 2);
  history.lostSight(kept, "timeout");
  tell(put(KEY, "a", 2));
  assert.deepEqual(laws(history), ["acknowledged"]);
});

test("History sees an acknowledged deletion that is not in the history", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("put", [OTHER], "b"), "timeout");
  history.wrote(history.beginWrite("delete", [KEY], undefined), 2);
  tell(put(OTHER, "b", 2));
  assert.deepEqual(laws(history), ["acknowledged"]);
});

test("History sees a write that is placed before what was known when it began", () => {
  const { history, tell } = setUp();
  history.wrote(history.beginWrite("put", [KEY], "a"), 3);
  history.lostSight(history.beginWrite("put", [OTHER], "b"), "timeout");
  tell(put(OTHER, "b", 2));
  assert.deepEqual(laws(history), ["linearizable"]);
});

test("History sees a read of what was overwritten before it began", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("put", [KEY], "a"), "timeout");
  tell(put(KEY, "a", 2));
  history.lostSight(history.beginWrite("put", [KEY], "b"), "timeout");
  tell(put(KEY, "b", 3, { createRevision: 2, version: 2 }));
  history.saw(history.beginRead("read"), seen([put(KEY, "a", 2)], 2));
  assert.deepEqual(laws(history), ["linearizable"]);
});

test("History sees a read whose answer is not what was there at its revision", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("put", [KEY], "a"), "timeout");
  tell(put(KEY, "a", 2));
  history.saw(history.beginRead("read"), seen([], 2));
  assert.deepEqual(laws(history), ["linearizable"]);
});

test("History sees a compare-and-swap that compared with something else", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("put", [KEY], "a"), "timeout");
  tell(put(KEY, "a", 2));
  const swap = history.beginWrite("swap", [KEY], "b");
  history.compared(swap, { expected: 0, revision: 3, succeeded: true });
  history.wrote(swap, 3);
  tell(put(KEY, "b", 3, { createRevision: 2, version: 2 }));
  assert.deepEqual(laws(history), ["linearizable"]);
});

test("History sees a write that was refused and happened, and one that happened twice", () => {
  const { history, tell } = setUp();
  history.notWritten(history.beginWrite("put", [KEY], "a"), "NoLeader");
  history.lostSight(history.beginWrite("put", [OTHER], "b"), "timeout");
  tell(put(KEY, "a", 2));
  tell(put(OTHER, "b", 3));
  tell(put(OTHER, "b", 4, { createRevision: 3, version: 2 }));
  assert.deepEqual(laws(history), ["honest errors", "once"]);
});

test("History sees half of a transaction, a value of nobody, and a deletion of nobody", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("put", [KEY, OTHER], "a"), "timeout");
  tell(put(KEY, "a", 2));
  tell(put(KEY, "z", 3, { createRevision: 2, version: 2 }));
  tell(gone(KEY, 4));
  history.assertDeletesExplained();
  assert.deepEqual(laws(history), ["atomic", "history", "history"]);
});

test("History explains a deletion by one of unknown outcome, once", () => {
  const { history, tell } = setUp();
  history.lostSight(history.beginWrite("delete", [KEY], undefined), "timeout");
  tell(gone(KEY, 2));
  tell(gone(KEY, 3));
  history.assertDeletesExplained();
  assert.deepEqual(
    history.violations.map(({ text }) => text),
    [`nobody deleted ${KEY}, which is gone at 3`],
  );
});

test("RevisionReader sees a revision that is missing, repeated, or not what another was told", () => {
  const { history, tell } = setUp();
  for (const value of ["a", "b", "c"]) history.lostSight(history.beginWrite("put", [KEY], value), "timeout");
  tell(put(KEY, "a", 2));
  tell(put(KEY, "b", 3));
  tell(put(KEY, "c", 4));
  const missing = history.revisions.reader("missing", 1);
  missing.hear([put(KEY, "a", 2)]);
  missing.hear([put(KEY, "c", 4)]);
  const repeated = history.revisions.reader("repeated", 1);
  repeated.hear([put(KEY, "a", 2), put(KEY, "b", 3)]);
  repeated.hear([put(KEY, "b", 3)]);
  history.revisions.reader("other", 1).hear([put(KEY, "b", 2)]);
  assert.deepEqual(laws(history), ["watch complete", "watch ordered and unique", "one truth"]);
});

test("Revisions.forgetBefore() keeps what keys were at that revision", () => {
  const { history, tell } = setUp();
  for (const value of ["a", "b"]) history.lostSight(history.beginWrite("put", [KEY], value), "timeout");
  tell(put(KEY, "a", 2));
  tell(put(KEY, "b", 3, { createRevision: 2, version: 2 }));
  history.revisions.forgetBefore(3);
  assert.equal(history.revisions.at(KEY, 3)?.value, "b");
  assert.deepEqual(
    history.revisions.range("register/", 3).map(({ value }) => value),
    ["b"],
  );
  assert.equal(history.revisions.first, 3);
});

function setUp(): { readonly history: History; readonly tell: (change: KeyAt) => void } {
  const history = new History({ start: 1, now: () => 0 });
  const reader = history.revisions.reader("watcher", 1);
  return { history, tell: (change) => reader.hear([change]) };
}

function laws(history: History): readonly string[] {
  return history.violations.map(({ law }) => law);
}

function put(key: string, value: string, revision: number, more: Partial<KeyAt> = {}) {
  return { key, revision, createRevision: revision, version: 1, lease: 0n, ...more, value };
}

function gone(key: string, revision: number): KeyAt {
  return { key, value: undefined, revision, createRevision: 0, version: 0, lease: 0n };
}

function seen(kvs: readonly ReturnType<typeof put>[], revision: number) {
  return { prefix: "register/", revision, kvs, stale: false };
}
