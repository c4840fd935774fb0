import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import { HashKVRequest, HashKVResponse } from "../../../store/proto/gen/rpc.ts";
import { KvHashes } from "../../../store/server/kv-hashes.ts";
import {
  COMPACTION_HASH_CALL,
  fetchMembers,
  HASH_CALL,
  PeerCalls,
} from "../../../store/server/peer-calls.ts";
import { Turns } from "../../../store/server/turns.ts";
import { TestMember } from "../peer/peer-bed.ts";
import { CLUSTER, ClusterBed, started } from "./cluster-bed.ts";

const { signal } = new AbortController();

const refuses = {
  changes: { promote: () => assert.fail("nobody is promoted") },
  leases: {
    renew: () => assert.fail("nothing is renewed"),
    remainingSeconds: () => assert.fail("no lease is asked for"),
  },
};

test("fetchMembers() gives cluster and members as the one at the URL has them", async () => {
  const bed = new ClusterBed([started(1n), started(2n), started(3n, true)]);
  const calls = new PeerCalls();
  await using member = await TestMember.start(1n, { onCall: calls.answer });
  const ask = () => fetchMembers(member.url, { timeoutMs: 5_000, signal });
  await assert.rejects(ask(), { code: "Stopped" });
  calls.serve({
    replica: bed.replica,
    ...refuses,
    hashes: {
      now: () => assert.fail("nothing is hashed"),
      ofCompaction: () => assert.fail("no hash is asked for"),
    },
  });
  assert.deepEqual(await ask(), { clusterId: CLUSTER, members: bed.bed.state.members });
});

test("PeerCalls.answer() tells a hash at a revision that it has without asking the leader, who may be away", async () => {
  const bed = new ClusterBed([started(1n), started(2n)]);
  bed.bed.put("a");
  const calls = new PeerCalls();
  const hashes = new KvHashes(bed.bed.state, new Turns(systemClock));
  calls.serve({ replica: bed.replica, ...refuses, hashes });
  const ask = async (method: string, revision: number) => {
    const body = HashKVRequest.encode({ revision }).finish();
    const { header: _, ...held } = HashKVResponse.decode(await calls.answer({ method, body }, { signal }));
    return held;
  };
  assert.deepEqual(await ask(HASH_CALL, 2), bed.bed.hash(2));
  assert.equal(bed.reads, 0);
  await assert.rejects(ask(HASH_CALL, 3), { code: "FutureRev" });
  assert.equal(bed.reads, 1);
  const compacted = bed.bed.hash(2);
  bed.bed.compact(2);
  await assert.rejects(ask(COMPACTION_HASH_CALL, 2), { code: "EPEERCALL" });
  while (bed.bed.state.compactStep());
  assert.deepEqual(await ask(COMPACTION_HASH_CALL, 2), compacted);
  assert.equal((await ask(HASH_CALL, 2)).compactRevision, 2);
  assert.deepEqual(await hashes.at(2, { signal }), compacted);
});
