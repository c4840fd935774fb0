import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  DefragmentRequest,
  DefragmentResponse,
  HashKVRequest,
  HashKVResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  SnapshotRequest,
  SnapshotResponse,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import { eventually } from "../../support/process.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

const TXN = [TxnRequest, TxnResponse] as const;
const ALARM = [AlarmRequest, AlarmResponse] as const;
const HASH_KV = [HashKVRequest, HashKVResponse] as const;
const SNAPSHOT = [SnapshotRequest, SnapshotResponse] as const;
const DEFRAGMENT = [DefragmentRequest, DefragmentResponse] as const;
const MOVE_LEADER = [MoveLeaderRequest, MoveLeaderResponse] as const;

function readTxn(key: string, serializable: boolean): object {
  const value = { key: Buffer.from(key), serializable };
  return { success: [{ request: { $case: "requestRange", value } }] };
}

suite("calls at members of a cluster", () => {
  test("without a leader a member serves serializable reads, its status and its hash, and nothing else", async () => {
    await using bed = await MembersBed.open();
    await (await bed.leader()).put("k", "v");
    const [follower] = (await bed.followers()) as [BedMember];
    await eventually(async () => assert.equal(await follower.get("k", { serializable: true }), "v"));
    bed.part(follower);
    await eventually(() => assert.equal(follower.replica.status.leader, 0n));
    assert.equal(await follower.get("k", { serializable: true }), "v");
    const { responses } = await follower.call("KV/Txn", TXN, readTxn("k", true));
    assert.equal(responses.length, 1);
    const { errors, leader } = await follower.status();
    assert.deepEqual([errors, leader], [["etcdserver: no leader"], 0n]);
    await follower.call("Maintenance/HashKV", HASH_KV, {});
    const timeout = { code: 14, details: "etcdserver: request timed out" };
    const required = { metadata: { hasleader: "true" } };
    const noLeader = { code: 14, details: "etcdserver: no leader" };
    await Promise.all([
      assert.rejects(follower.get("k"), timeout),
      assert.rejects(follower.call("KV/Txn", TXN, readTxn("k", false)), timeout),
      assert.rejects(follower.put("k"), timeout),
      assert.rejects(follower.get("k", {}, required), noLeader),
      assert.rejects(follower.get("k", { serializable: true }, required), noLeader),
      assert.rejects(follower.put("k", "", required), noLeader),
    ]);
  });

  test("a linearizable read on any member sees what was acknowledged before it", async () => {
    await using bed = await MembersBed.open();
    for (let round = 0; round < 60; round += 1) {
      const [writer, reader] = [bed.members[round % 3], bed.members[(round + 1 + (round >> 4)) % 3]];
      await writer?.put("k", `${round}`);
      assert.equal(await reader?.get("k"), `${round}`);
      if (round % 20 === 10) {
        const leader = await bed.leader();
        const [next] = (await bed.followers()) as [BedMember];
        await leader.call("Maintenance/MoveLeader", MOVE_LEADER, { targetID: next.id });
      }
    }
  });

  test("writes at followers whose leader dies end with etcd's error, or happen once", async () => {
    await using bed = await MembersBed.open();
    const old = await bed.leader();
    const [follower] = (await bed.followers()) as [BedMember];
    const writes: Promise<string>[] = [];
    const outcome = (write: Promise<unknown>) =>
      write.then(
        () => "done",
        (error: { details: string }) => error.details,
      );
    const deleteOnce = (key: string) => {
      const compare = [
        { target: 0, result: 0, key: Buffer.from(key), targetUnion: { $case: "version", version: 0 } },
      ];
      const put = (name: string) => ({
        request: { $case: "requestPut", value: { key: Buffer.from(name), value: Buffer.from("x") } },
      });
      // Twice applied, it would leave the second key.
      return { compare, success: [put(key)], failure: [put(`${key} twice`)] };
    };
    for (let index = 0; index < 40; index += 1) {
      writes.push(outcome(follower.call("KV/Txn", TXN, deleteOnce(`w${index}`))));
      if (index === 20) bed.part(old);
    }
    const ends = await Promise.all(writes);
    const leader = await bed.leader();
    const allowed = ["done", "etcdserver: request timed out, possibly due to previous leader failure"];
    for (const [index, end] of ends.entries()) {
      assert.ok(allowed.includes(end), end);
      if (end === "done") assert.equal(await leader.get(`w${index}`), "x");
      assert.equal(await leader.get(`w${index} twice`), undefined);
    }
    assert.ok(ends.includes("done"));
  });

  test("maintenance: hashes are equal, alarms show everywhere, snapshots and defragmentation work on each", async () => {
    await using bed = await MembersBed.open();
    const leader = await bed.leader();
    for (let key = 0; key < 20; key += 1) await leader.put(`k${key}`);
    const revision = leader.replica.state.revision;
    const hashes = await Promise.all(
      bed.members.map(async (member) => {
        await member.get("k0");
        const { hash, hashRevision } = await member.call("Maintenance/HashKV", HASH_KV, { revision });
        return `${hash} ${hashRevision}`;
      }),
    );
    assert.equal(new Set(hashes).size, 1, `${hashes}`);
    const [follower, other] = (await bed.followers()) as [BedMember, BedMember];
    const alarm = { memberID: other.id, alarm: AlarmType.NOSPACE };
    await follower.call("Maintenance/Alarm", ALARM, { action: AlarmRequest_AlarmAction.ACTIVATE, ...alarm });
    for (const member of bed.members) {
      await member.get("k0");
      assert.deepEqual((await member.status()).errors, [`memberID:${other.id} alarm:NOSPACE`]);
      await assert.rejects(member.put("k"), {
        code: 8,
        details: "etcdserver: mvcc: database space exceeded",
      });
    }
    await other.call("Maintenance/Alarm", ALARM, { action: AlarmRequest_AlarmAction.DEACTIVATE, ...alarm });
    for (const member of bed.members) {
      await member.put("k");
      await member.call("Maintenance/Defragment", DEFRAGMENT);
      using snapshot = member.stream("Maintenance/Snapshot", SNAPSHOT);
      snapshot.send({});
      assert.ok(((await snapshot.next())?.blob.length ?? 0) > 0);
    }
  });

  test("MoveLeader is the leader's to carry out, to a voter", async () => {
    await using bed = await MembersBed.open();
    const leader = await bed.leader();
    const [follower, other] = (await bed.followers()) as [BedMember, BedMember];
    const move = (member: BedMember, targetID: bigint) =>
      member.call("Maintenance/MoveLeader", MOVE_LEADER, { targetID });
    await assert.rejects(move(follower, other.id), { code: 9, details: "etcdserver: not leader" });
    await assert.rejects(move(leader, 99n), { code: 9, details: "etcdserver: bad leader transferee" });
    await move(leader, other.id);
    assert.equal(await bed.leader(), other);
  });
});
