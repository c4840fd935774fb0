import assert from "node:assert/strict";
import { test } from "node:test";
import type { Header, WatchItem } from "../../../store/client/types.ts";
import { WatchCursor } from "../../../store/client/watch-cursor.ts";
import { Event } from "../../../store/proto/gen/kv.ts";
import { WatchResponse } from "../../../store/proto/gen/rpc.ts";

const header = (revision: number, clusterId = 7n): Header => ({
  clusterId,
  memberId: 1n,
  revision,
  raftTerm: 2,
});

const response = (revision: number, modRevisions: readonly number[], fragment = false) =>
  WatchResponse.fromPartial({
    header: header(revision),
    fragment,
    events: modRevisions.map((modRevision, index) =>
      Event.fromPartial({ kv: { key: Buffer.from(`k${index}`), modRevision } }),
    ),
  });

const revisions = (item: WatchItem | undefined) =>
  item?.kind === "events" ? item.events.map((event) => event.kv.modRevision) : item?.kind;

test("WatchCursor starts right after the revision that the store was at when the watch was made", () => {
  const cursor = new WatchCursor(undefined);
  assert.equal(cursor.nextRevision, 0);
  assert.equal(cursor.created(header(41)), "created");
  assert.equal(cursor.nextRevision, 42);
});

test("WatchCursor keeps a start revision, also one in the future", () => {
  const cursor = new WatchCursor(100);
  assert.equal(cursor.created(header(41)), "created");
  assert.equal(cursor.nextRevision, 100);
});

test("WatchCursor.accept() moves on past what it delivers", () => {
  const cursor = new WatchCursor(5);
  cursor.created(header(9));
  const item = cursor.accept(response(9, [5, 5, 7]));
  assert.deepEqual(revisions(item), [5, 5, 7]);
  assert.equal(item?.kind === "events" && item.revision, 7);
  assert.equal(cursor.nextRevision, 8);
});

test("WatchCursor.accept() never gives an event twice", () => {
  const cursor = new WatchCursor(5);
  cursor.created(header(9));
  cursor.accept(response(9, [5, 6]));
  assert.deepEqual(revisions(cursor.accept(response(9, [6, 7]))), [7]);
  assert.equal(cursor.accept(response(9, [7])), undefined);
});

test("WatchCursor.accept() holds half a revision back until the rest of it is there", () => {
  const cursor = new WatchCursor(5);
  cursor.created(header(9));
  assert.equal(cursor.accept(response(9, [5, 5], true)), undefined);
  assert.equal(cursor.nextRevision, 5);
  assert.deepEqual(revisions(cursor.accept(response(9, [5, 6, 6], true))), [5, 5, 5]);
  assert.equal(cursor.accept(response(9, [6], true)), undefined);
  assert.deepEqual(revisions(cursor.accept(response(9, [6, 7]))), [6, 6, 6, 6, 7]);
  assert.equal(cursor.nextRevision, 8);
});

test("WatchCursor.restart() forgets half a revision, which the next stream brings whole", () => {
  const cursor = new WatchCursor(5);
  cursor.created(header(9));
  cursor.accept(response(9, [5, 5], true));
  cursor.restart();
  assert.equal(cursor.created(header(9)), "resumed");
  assert.equal(cursor.nextRevision, 5);
  assert.deepEqual(revisions(cursor.accept(response(9, [5, 5, 5]))), [5, 5, 5]);
});

test("WatchCursor.accept() moves on with progress, but not in the middle of a revision", () => {
  const cursor = new WatchCursor(5);
  cursor.created(header(9));
  assert.equal(revisions(cursor.accept(response(20, []))), "progress");
  assert.equal(cursor.nextRevision, 21);
  cursor.accept(response(30, [21], true));
  assert.equal(cursor.accept(response(30, [])), undefined);
  assert.equal(cursor.nextRevision, 21);
});

test("WatchCursor.created() sees a store that is behind, and another cluster", () => {
  const cursor = new WatchCursor(undefined);
  cursor.created(header(10));
  cursor.accept(response(15, [15]));
  assert.equal(cursor.created(header(15)), "resumed");
  assert.equal(cursor.created(header(14)), "behind");
  assert.equal(cursor.created(header(99, 8n)), "replaced");
});
