import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import { StoreError } from "../../../store/proto/errors.ts";
import { MemberPromoteResponse } from "../../../store/proto/gen/rpc.ts";
import { fetchMembers, PeerCalls } from "../../../store/server/peer-calls.ts";
import { promoteAtLeader } from "../../../store/server/promote-at-leader.ts";
import { TestMember } from "../peer/peer-bed.ts";
import { CLUSTER, ClusterBed, started } from "./cluster-bed.ts";

const { signal } = new AbortController();

test("fetchMembers() gives cluster and members as the one at the URL has them", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(3n, true)]);
  const calls = new PeerCalls();
  await using member = await TestMember.start(1n, { onCall: calls.answer });
  const ask = () => fetchMembers(member.url, { timeoutMs: 5_000, signal });
  await assert.rejects(ask(), { code: "Stopped" });
  calls.serve({ replica: bed.replica, changes: { promote: () => assert.fail("nobody is promoted") } });
  assert.deepEqual(await ask(), { clusterId: CLUSTER, members: bed.bed.state.members });
});

test("promoteAtLeader() asks the leader's peer port, and gives what the leader says", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(4n, true)]);
  const promoted: bigint[] = [];
  const calls = new PeerCalls();
  calls.serve({
    replica: bed.replica,
    changes: {
      promote: async (id) => {
        if (id === 9n) throw new StoreError("MemberNotFound");
        promoted.push(id);
        return MemberPromoteResponse.encode({ header: undefined, members: [] }).finish();
      },
    },
  });
  await using leader = await TestMember.start(2n, { onCall: calls.answer });
  bed.leader = 2n;
  const members = [{ ...started(2n), peerUrls: ["http://127.0.0.1:1", leader.url] }];
  const replica = {
    get status() {
      return bed.replica.status;
    },
    state: { members },
  };
  const promote = promoteAtLeader({ replica, timeoutMs: 5_000, clock: systemClock });
  await promote(4n, { signal });
  assert.deepEqual(promoted, [4n]);
  await assert.rejects(promote(9n, { signal }), { message: "etcdserver: member not found" });
});

test("promoteAtLeader() asks again until there is a leader, and gives up in etcd's words", async () => {
  const bed = new ClusterBed([started(1n), started(2n)]);
  const calls = new PeerCalls();
  let tries = 0;
  calls.serve({
    replica: bed.replica,
    changes: {
      promote: async () => {
        tries += 1;
        if (tries < 3) throw new StoreError("NotLeader");
        return Buffer.alloc(0);
      },
    },
  });
  await using leader = await TestMember.start(2n, { onCall: calls.answer });
  const state = { members: [{ ...started(2n), peerUrls: [leader.url] }] };
  bed.leader = 2n;
  const { status } = bed.replica;
  await promoteAtLeader({ replica: { status, state }, timeoutMs: 5_000, clock: systemClock })(4n, { signal });
  assert.equal(tries, 3);
  const nobody = { status: { ...status, leader: 0n }, state };
  await assert.rejects(
    promoteAtLeader({ replica: nobody, timeoutMs: 20, clock: systemClock })(4n, { signal }),
    { message: "etcdserver: request timed out" },
  );
});
