import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from "../../../store/proto/gen/rpc.ts";
import { type LiveStream, MemberBed } from "./member-bed.ts";

const KV = "etcdserverpb.KV";
const text = (value: string) => Buffer.from(value);
const create = (fields: object) => ({ requestUnion: { $case: "createRequest", value: fields } });
const progress = { requestUnion: { $case: "progressRequest", value: {} } };

function open(bed: MemberBed): LiveStream<WatchResponse> {
  return bed.open("etcdserverpb.Watch/Watch", [WatchRequest, WatchResponse]);
}

async function put(bed: MemberBed, key: string, value: string | Buffer = ""): Promise<number> {
  const types = [PutRequest, PutResponse] as const;
  const { header } = await bed.call(`${KV}/Put`, types, { key: text(key), value: Buffer.from(value) });
  return header?.revision ?? assert.fail("no header");
}

/** "put k=v@revision" for each event. */
function shown({ events }: WatchResponse): string[] {
  return events.map(({ type, kv, prevKv }) => {
    const before = prevKv === undefined ? "" : ` was ${prevKv.value}`;
    return `${type === 0 ? `put ${kv?.key}=${kv?.value}` : `del ${kv?.key}`}@${kv?.modRevision}${before}`;
  });
}

async function take(stream: LiveStream<WatchResponse>, count: number): Promise<string[]> {
  const events: string[] = [];
  while (events.length < count) events.push(...shown(await stream.next()));
  return events;
}

test("Watch gives history from a revision, then what comes, each event once", async () => {
  await using bed = await MemberBed.open();
  for (const value of ["1", "2"]) await put(bed, "k", value);
  await put(bed, "other");
  const stream = open(bed);
  stream.send(create({ key: text("k"), startRevision: 2, prevKv: true }));
  const created = await stream.next();
  assert.deepEqual([created.created, created.watchId, created.header?.revision], [true, 0, 4]);
  assert.deepEqual(await take(stream, 2), ["put k=1@2", "put k=2@3 was 1"]);
  await put(bed, "k", "3");
  await bed.call(`${KV}/DeleteRange`, [DeleteRangeRequest, DeleteRangeResponse], { key: text("k") });
  assert.deepEqual(await take(stream, 2), ["put k=3@5 was 2", "del k@6 was 3"]);
  await stream.end();
});

test("Watch goes on for a client that has ended its side, until it cancels", async () => {
  await using bed = await MemberBed.open();
  const stream = open(bed);
  stream.send(create({ key: text("k") }));
  await stream.next();
  stream.endRequests();
  await put(bed, "k", "1");
  assert.deepEqual(await take(stream, 1), ["put k=1@2"]);
  await stream.end();
  assert.deepEqual(bed.member.watchHub.counts, { synced: 0, unsynced: 0, slow: 0 });
});

test("Watch serves several ranges on one stream, with filters", async () => {
  await using bed = await MemberBed.open();
  const stream = open(bed);
  stream.send(create({ key: text("a"), rangeEnd: text("c"), watchId: 5 }));
  stream.send(create({ key: text("b"), rangeEnd: Buffer.from([0]), watchId: 6, filters: [0] }));
  await stream.next();
  await stream.next();
  await put(bed, "a", "1");
  await put(bed, "b", "1");
  await bed.call(`${KV}/DeleteRange`, [DeleteRangeRequest, DeleteRangeResponse], { key: text("b") });
  const byWatch = new Map<number, string[]>();
  for (let taken = 0; taken < 4; ) {
    const response = await stream.next();
    byWatch.set(response.watchId, [...(byWatch.get(response.watchId) ?? []), ...shown(response)]);
    taken += response.events.length;
  }
  assert.deepEqual(byWatch.get(5), ["put a=1@2", "put b=1@3", "del b@4"]);
  assert.deepEqual(byWatch.get(6), ["del b@4"]);
  await stream.end();
});

test("Watch gives the events of one transaction in one response", async () => {
  await using bed = await MemberBed.open();
  const stream = open(bed);
  stream.send(create({ key: text("k"), rangeEnd: text("l") }));
  await stream.next();
  const write = (key: string) => ({ request: { $case: "requestPut", value: { key: text(key) } } });
  await bed.call(`${KV}/Txn`, [TxnRequest, TxnResponse], { success: ["k1", "k2", "k3"].map(write) });
  assert.deepEqual(shown(await stream.next()), ["put k1=@2", "put k2=@2", "put k3=@2"]);
  await stream.end();
});

test("Watch from a future revision is silent until then", async () => {
  await using bed = await MemberBed.open();
  const stream = open(bed);
  stream.send(create({ key: text("k"), startRevision: 4 }));
  await stream.next();
  for (const value of ["1", "2", "3"]) await put(bed, "k", value);
  assert.deepEqual(await take(stream, 1), ["put k=3@4"]);
  await stream.end();
});

test("Watch from a compacted revision is told the oldest that is kept", async () => {
  await using bed = await MemberBed.open();
  for (const value of ["1", "2", "3"]) await put(bed, "k", value);
  await bed.call(`${KV}/Compact`, [CompactionRequest, CompactionResponse], { revision: 3 });
  const stream = open(bed);
  stream.send(create({ key: text("k"), startRevision: 2 }));
  assert.equal((await stream.next()).created, true);
  const ended = await stream.next();
  assert.deepEqual([ended.canceled, ended.compactRevision, ended.watchId], [true, 3, 0]);
  await stream.end();
});

test("Watch answers a progress request with the store's revision, after all events up to it", async () => {
  await using bed = await MemberBed.open();
  const stream = open(bed);
  stream.send(create({ key: text("k") }));
  await stream.next();
  const revision = await put(bed, "other");
  stream.send(progress);
  const { watchId, header, events } = await stream.next();
  assert.deepEqual([watchId, header?.revision, events], [-1, revision, []]);
  await stream.end();
});

test("Watch sets a slow client aside, holds little for it, and gives it all in order when it reads again", async () => {
  await using bed = await MemberBed.open();
  const slow = open(bed);
  const quick = open(bed);
  for (const stream of [slow, quick]) {
    stream.send(create({ key: text("k"), rangeEnd: text("l") }));
    await stream.next();
  }
  slow.stall();
  const count = 600;
  const value = Buffer.alloc(10_000, 1);
  for (let number = 0; number < count; number += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => put(bed, `k${number + index}`, value)));
  }
  assert.equal((await take(quick, count)).length, count, "the quick one does not wait for the slow one");
  assert.equal(bed.member.watchHub.counts.slow, 1, "the slow one is set aside");
  slow.resume();
  const revisions: number[] = [];
  while (revisions.length < count) {
    for (const { kv } of (await slow.next()).events) revisions.push(kv?.modRevision ?? 0);
  }
  assert.deepEqual(
    revisions,
    Array.from({ length: count }, (_, index) => index + 2),
  );
  await put(bed, "k-last", "live");
  assert.deepEqual(await take(slow, 1), [`put k-last=live@${count + 2}`]);
  assert.deepEqual(bed.member.watchHub.counts, { synced: 2, unsynced: 0, slow: 0 });
  await Promise.all([slow.end(), quick.end()]);
  assert.deepEqual(bed.member.watchHub.counts, { synced: 0, unsynced: 0, slow: 0 });
});

test("Watch tells a slow client that what it missed is compacted", async () => {
  await using bed = await MemberBed.open();
  const slow = open(bed);
  slow.send(create({ key: text("k"), rangeEnd: text("l") }));
  await slow.next();
  slow.stall();
  const value = Buffer.alloc(100_000, 1);
  let revision = 0;
  for (let number = 0; number < 60; number += 1) revision = await put(bed, `k${number}`, value);
  await bed.call(`${KV}/Compact`, [CompactionRequest, CompactionResponse], { revision, physical: true });
  slow.resume();
  let last = 1;
  for (;;) {
    const response = await slow.next();
    if (response.canceled) {
      assert.equal(response.compactRevision, revision);
      break;
    }
    for (const { kv } of response.events) {
      assert.equal(kv?.modRevision, last + 1, "no gap in what is given before");
      last += 1;
    }
  }
  assert.ok(last < revision);
  await slow.end();
});
