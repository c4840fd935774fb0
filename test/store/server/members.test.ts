import assert from "node:assert/strict";
import { test } from "node:test";
import { LeaseRevokeRequest } from "../../../store/proto/gen/rpc.ts";
import { encodeRaftRequest } from "../../../store/server/raft-request.ts";
import { MembersBed } from "./members-bed.ts";

test("members serve writes and linearizable reads, whichever is asked, and go on when the leader is parted from them", async () => {
  await using bed = await MembersBed.open();
  for (const { name } of bed.members) {
    const member = bed.members.find((one) => one.name === name);
    await member?.put(name, "here");
  }
  for (const reader of bed.members) {
    for (const { name } of bed.members) assert.equal(await reader.get(name), "here");
  }
  const old = await bed.leader();
  bed.part(old);
  const leader = await bed.leader();
  assert.notEqual(leader, old);
  await leader.put("after", "the change");
  assert.equal(await old.get("after", { serializable: true }), undefined);
  bed.heal();
  assert.equal(await old.get("after"), "the change");
});

test("a proposal for one leader's term goes into that leader's log, or nowhere", async () => {
  await using bed = await MembersBed.open();
  const leader = await bed.leader();
  const [follower] = await bed.followers();
  const { signal } = new AbortController();
  const { term } = leader.replica.status;
  const propose = (member = leader, leaderTerm = term) => {
    const requestId = member.replica.nextRequestId();
    const request = LeaseRevokeRequest.encode({ ID: 9n }).finish();
    const data = encodeRaftRequest("leaseRevoke", requestId, request);
    return member.replica.propose(requestId, data, { signal, leaderTerm });
  };
  assert.equal((await propose()).kind, "refused");
  const before = leader.replica.status.lastIndex;
  await assert.rejects(propose(follower), { code: "NotLeader" });
  await assert.rejects(propose(leader, term - 1), { code: "NotLeader" });
  assert.equal(leader.replica.status.lastIndex, before);
  // While it hands over, a proposal would wait for the next leader.
  const moved = leader.replica.transferLeader(follower?.id ?? 0n, { signal });
  await assert.rejects(propose(), { code: "NotLeader" });
  await moved;
});
