import assert from "node:assert/strict";
import { test } from "node:test";
import { RangeRequest } from "../../../store/proto/gen/rpc.ts";
import { refuseLearner } from "../../../store/server/refuse-learner.ts";
import type { Handler } from "../../../store/server/service.ts";
import { ClusterBed, started } from "./cluster-bed.ts";

const UNARY = [
  "KV/Range",
  "KV/Put",
  "KV/Txn",
  "Lease/LeaseGrant",
  "Cluster/MemberList",
  "Maintenance/Status",
  "Maintenance/HashKV",
];
const STREAMS = ["Watch/Watch", "Lease/LeaseKeepAlive", "Maintenance/Snapshot"];

/** What a member answers, by method. */
async function answered(bed: ClusterBed, range: Partial<RangeRequest>): Promise<string[]> {
  const methods: [string, Handler][] = [
    ...UNARY.map((name): [string, Handler] => [
      `/etcdserverpb.${name}`,
      { kind: "unary", call: async (bytes) => bytes },
    ]),
    ...STREAMS.map((name): [string, Handler] => [
      `/etcdserverpb.${name}`,
      { kind: "stream", call: async () => undefined },
    ]),
  ];
  const names: string[] = [];
  const context = { metadata: new Map<string, string>(), signal: new AbortController().signal, peer: "test" };
  for (const [path, handler] of refuseLearner(new Map(methods), bed.replica)) {
    const bytes = RangeRequest.encode(RangeRequest.fromPartial(range)).finish();
    const called =
      handler.kind === "unary"
        ? handler.call(bytes, context)
        : handler.call([] as unknown as AsyncIterable<Uint8Array>, async () => undefined, context);
    try {
      await called;
      names.push(path.replace("/etcdserverpb.", ""));
    } catch (error) {
      assert.equal((error as Error).message, "etcdserver: rpc not supported for learner");
    }
  }
  return names;
}

test("refuseLearner() lets a learner tell its status, its snapshot and what it has itself", async () => {
  const learner = new ClusterBed([started(1n, true), started(2n)]);
  assert.deepEqual(await answered(learner, {}), ["Maintenance/Status", "Maintenance/Snapshot"]);
  assert.deepEqual(await answered(learner, { serializable: true }), [
    "KV/Range",
    "Maintenance/Status",
    "Maintenance/Snapshot",
  ]);
});

test("refuseLearner() refuses nothing at a voter, nor at a member that does not know of itself yet", async () => {
  const all = [...UNARY, ...STREAMS];
  assert.deepEqual(await answered(new ClusterBed([started(1n), started(2n, true)]), {}), all);
  assert.deepEqual(await answered(new ClusterBed([started(2n)]), {}), all);
});
