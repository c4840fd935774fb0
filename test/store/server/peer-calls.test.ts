import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchMembers, PeerCalls } from "../../../store/server/peer-calls.ts";
import { TestMember } from "../peer/peer-bed.ts";
import { CLUSTER, ClusterBed, started } from "./cluster-bed.ts";

const { signal } = new AbortController();

test("fetchMembers() gives cluster and members as the one at the URL has them", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(3n, true)]);
  const calls = new PeerCalls();
  await using member = await TestMember.start(1n, { onCall: calls.answer });
  const ask = () => fetchMembers(member.url, { timeoutMs: 5_000, signal });
  await assert.rejects(ask(), { code: "Stopped" });
  calls.serve({
    replica: bed.replica,
    changes: { promote: () => assert.fail("nobody is promoted") },
    leases: {
      renew: () => assert.fail("nothing is renewed"),
      remainingSeconds: () => assert.fail("no lease is asked for"),
    },
    hash: () => assert.fail("nothing is hashed"),
  });
  assert.deepEqual(await ask(), { clusterId: CLUSTER, members: bed.bed.state.members });
});
