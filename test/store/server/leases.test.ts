import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
} from "../../../store/proto/gen/rpc.ts";
import { eventually } from "../../support/process.ts";
import { type BedMember, MembersBed } from "./members-bed.ts";

const GRANT = [LeaseGrantRequest, LeaseGrantResponse] as const;
const REVOKE = [LeaseRevokeRequest, LeaseRevokeResponse] as const;
const KEEP_ALIVE = [LeaseKeepAliveRequest, LeaseKeepAliveResponse] as const;
const TIME_TO_LIVE = [LeaseTimeToLiveRequest, LeaseTimeToLiveResponse] as const;
const LEASES = [LeaseLeasesRequest, LeaseLeasesResponse] as const;

const grant = (member: BedMember, ID: bigint, TTL: number) =>
  member.call("Lease/LeaseGrant", GRANT, { ID, TTL });
const timeToLive = (member: BedMember, ID: bigint, keys = false) =>
  member.call("Lease/LeaseTimeToLive", TIME_TO_LIVE, { ID, keys });

/** The TTL that one renewal is answered with. */
async function renew(member: BedMember, ID: bigint): Promise<number | undefined> {
  using stream = member.stream("Lease/LeaseKeepAlive", KEEP_ALIVE);
  stream.send({ ID });
  return (await stream.next())?.TTL;
}

async function putUnder(member: BedMember, key: string, lease: bigint): Promise<void> {
  await member.call("KV/Put", [PutRequest, PutResponse], { key: Buffer.from(key), lease });
}

suite("leases", () => {
  test("every member grants, renews, tells the time of and revokes a lease", async () => {
    await using bed = await MembersBed.open();
    for (const [index, member] of bed.members.entries()) {
      const id = BigInt(index + 1);
      await grant(member, id, 100);
      await putUnder(member, `k${id}`, id);
      for (const other of bed.members) {
        assert.equal(await renew(other, id), 100, `${other.name} renews`);
        const { TTL, grantedTTL, keys, header } = await timeToLive(other, id, true);
        assert.ok(TTL === 99 || TTL === 100, `${TTL}`);
        assert.deepEqual(
          [grantedTTL, keys.map(String), header?.memberId],
          [100, [`k${id}`].map((key) => String(Buffer.from(key))), other.id],
        );
        const { leases } = await other.call("Lease/LeaseLeases", LEASES);
        assert.ok(leases.some(({ ID }) => ID === id));
      }
      const next = bed.members[(index + 1) % bed.members.length] as BedMember;
      await next.call("Lease/LeaseRevoke", REVOKE, { ID: id });
      for (const other of bed.members) {
        assert.equal(await renew(other, id), 0, `${other.name}: gone`);
        const { TTL, grantedTTL } = await timeToLive(other, id);
        assert.deepEqual([TTL, grantedTTL], [-1, 0]);
        assert.equal(await other.get(`k${id}`), undefined);
      }
    }
  });

  test("a renewal during an election waits for the next leader", async () => {
    await using bed = await MembersBed.open();
    const [follower] = (await bed.followers()) as [BedMember];
    await grant(follower, 7n, 10);
    bed.part(await bed.leader());
    using stream = follower.stream("Lease/LeaseKeepAlive", KEEP_ALIVE);
    for (let round = 0; round < 10; round += 1) {
      stream.send({ ID: 7n });
      assert.equal((await stream.next())?.TTL, 10);
      await sleep(100);
    }
  });

  test("a renewal where there is no leader ends with etcd's error, never with TTL 0", async () => {
    await using bed = await MembersBed.open();
    const leader = await bed.leader();
    await grant(leader, 7n, 100);
    const [left, right] = (await bed.followers()) as [BedMember, BedMember];
    await Promise.all([left.stop(), right.stop()]);
    const alone = leader;
    await eventually(() => assert.equal(alone.replica.status.leader, 0n));
    using stream = alone.stream("Lease/LeaseKeepAlive", KEEP_ALIVE);
    stream.send({ ID: 7n });
    const noLeader = { code: 14, details: "etcdserver: no leader" };
    await Promise.all([
      assert.rejects(timeToLive(alone, 7n), noLeader),
      stream.ended.then((status) => assert.deepEqual(status, noLeader)),
    ]);
    assert.equal(await stream.next(), undefined);
  });

  test("leases that are renewed live over changes of the leader; those that are not end after their TTL", async () => {
    await using bed = await MembersBed.open();
    const first = await bed.leader();
    await grant(first, 1n, 2);
    await putUnder(first, "kept", 1n);
    let renewals = 0;
    const stop = new AbortController();
    const renewing = (async () => {
      while (!stop.signal.aborted) {
        for (const member of bed.members) {
          const ttl = await renew(member, 1n);
          // None: this member has lost its leader, and says so.
          if (ttl !== undefined) assert.equal(ttl, 2);
          renewals += 1;
        }
        await sleep(100);
      }
    })();
    for (let change = 0; change < 3; change += 1) {
      const leader = await bed.leader();
      await grant(leader, BigInt(100 + change), 1);
      await putUnder(leader, `left${change}`, BigInt(100 + change));
      bed.part(leader);
      const next = await bed.leader();
      assert.notEqual(next, leader);
      await eventually(async () => assert.equal(await next.get(`left${change}`), undefined));
      assert.equal(await next.get("kept"), "");
      bed.heal();
    }
    stop.abort();
    await renewing;
    assert.ok(renewals > 0);
    const leader = await bed.leader();
    assert.equal(await leader.get("kept"), "");
    await eventually(async () => assert.equal(await leader.get("kept"), undefined));
  });
});
