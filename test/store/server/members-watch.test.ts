import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  CompactionRequest,
  CompactionResponse,
  WatchRequest,
  WatchResponse,
} from "../../../store/proto/gen/rpc.ts";
import { eventually } from "../../support/process.ts";
import { type BedMember, type BedStream, MembersBed } from "./members-bed.ts";

const WATCH = [WatchRequest, WatchResponse] as const;
const ALL = { key: Buffer.from([0]), rangeEnd: Buffer.from([0]) };

type WatchStream = BedStream<WatchRequest, WatchResponse>;

function watch(member: BedMember, fields: object = {}, metadata: Record<string, string> = {}): WatchStream {
  const stream = member.stream("Watch/Watch", WATCH, { metadata });
  stream.send({ requestUnion: { $case: "createRequest", value: { ...ALL, ...fields } } });
  return stream;
}

async function created(stream: WatchStream): Promise<number> {
  const response = await stream.next();
  assert.equal(response?.created, true);
  return response.header?.revision ?? 0;
}

/** Reads until `key` has come; the keys of all events, in order. */
async function keysUntil(stream: WatchStream, key: string): Promise<string[]> {
  const keys: string[] = [];
  let revision = 0;
  while (keys.at(-1) !== key) {
    const response = await stream.next();
    assert.ok(
      response !== undefined && !response.canceled,
      `goes on until ${key}, after ${keys.length} keys`,
    );
    for (const { kv } of response.events) {
      assert.ok(kv !== undefined && kv.modRevision > revision, `${kv?.modRevision} comes after ${revision}`);
      revision = kv.modRevision;
      keys.push(Buffer.from(kv.key).toString());
    }
  }
  return keys;
}

suite("watches", () => {
  test("watches on every member see every event once and in order, over changes of the leader", async () => {
    await using bed = await MembersBed.open();
    const streams = bed.members.map((member) => watch(member));
    await Promise.all(streams.map(created));
    const expected: string[] = [];
    for (let change = 0; change < 3; change += 1) {
      for (const [index, member] of bed.members.entries()) {
        for (let put = 0; put < 10; put += 1) {
          const key = `${change}.${index}.${put}`;
          await member.put(key);
          expected.push(key);
        }
      }
      const leader = await bed.leader();
      bed.part(leader);
      const key = `${change}.parted`;
      await (await bed.leader()).put(key);
      expected.push(key);
      bed.heal();
      await bed.leader();
    }
    for (const stream of streams) {
      assert.deepEqual(await keysUntil(stream, "2.parted"), expected);
      stream[Symbol.dispose]();
    }
  });

  test("a watch that requires a leader ends when it is lost; another goes on when it is back", async () => {
    await using bed = await MembersBed.open();
    const [follower, other] = (await bed.followers()) as [BedMember, BedMember];
    using led = watch(follower, {}, { hasleader: "true" });
    using free = watch(follower);
    using elsewhere = watch(other, {}, { hasleader: "true" });
    await Promise.all([led, free, elsewhere].map(created));
    bed.part(follower);
    assert.deepEqual(await led.ended, { code: 14, details: "etcdserver: no leader" });
    using refused = watch(follower, {}, { hasleader: "true" });
    assert.deepEqual(await refused.ended, { code: 14, details: "etcdserver: no leader" });
    await (await bed.leader()).put("while it was away");
    bed.heal();
    assert.deepEqual(await keysUntil(free, "while it was away"), ["while it was away"]);
    assert.deepEqual(await keysUntil(elsewhere, "while it was away"), ["while it was away"]);
  });

  test("progress tells a follower's own revision, and only when all before it was given", async () => {
    await using bed = await MembersBed.open({ flags: ["--watch-progress-notify-interval=200ms"] });
    const [follower] = (await bed.followers()) as [BedMember];
    using quiet = watch(follower, {
      key: Buffer.from("nothing"),
      rangeEnd: Buffer.alloc(0),
      progressNotify: true,
    });
    const from = await created(quiet);
    const { header } = await (await bed.leader()).put("k");
    const revision = header?.revision ?? 0;
    assert.equal(revision, from + 1);
    for (;;) {
      const response = await quiet.next();
      assert.equal(response?.events.length, 0);
      const told = response.header?.revision ?? 0;
      assert.ok(told === from || told === revision, `${told}`);
      if (told === revision) break;
    }
    bed.part(follower);
    await (await bed.leader()).put("k");
    quiet.send({ requestUnion: { $case: "progressRequest", value: {} } });
    assert.equal((await quiet.next())?.header?.revision, revision);
  });

  test("watches on a member that takes a snapshot catch up, or are told of the compaction", async () => {
    await using bed = await MembersBed.open({ flags: ["--snapshot-count=20"] });
    const [follower] = (await bed.followers()) as [BedMember];
    using stream = watch(follower);
    await created(stream);
    const expected: string[] = [];
    const write = async (prefix: string) => {
      const leader = await bed.leader();
      const keys = Array.from({ length: 150 }, (_, index) => `${prefix}${index}`);
      await Promise.all(keys.map((key) => leader.put(key)));
      await leader.put(`${prefix} last`);
      // Until then its log keeps them all.
      const { state } = leader.replica;
      await eventually(() => assert.equal(state.flushedIndex, state.appliedIndex));
      expected.push(...keys, `${prefix} last`);
    };
    const installed = () => follower.logged.filter((message) => message === "snapshot was installed").length;
    bed.part(follower);
    await write("a");
    bed.heal();
    await eventually(() => assert.equal(installed(), 1));
    assert.deepEqual((await keysUntil(stream, "a last")).sort(), expected.sort());
    await follower.put("after");
    assert.deepEqual(await keysUntil(stream, "after"), ["after"]);

    bed.part(follower);
    await write("b");
    const leader = await bed.leader();
    const { header } = await leader.put("last");
    const revision = header?.revision ?? 0;
    await leader.call("KV/Compact", [CompactionRequest, CompactionResponse], { revision });
    await Promise.all(Array.from({ length: 50 }, () => leader.put("more")));
    bed.heal();
    await eventually(() => assert.equal(installed(), 2));
    const response = await stream.next();
    assert.deepEqual([response?.canceled, response?.compactRevision], [true, revision]);
  });
});
