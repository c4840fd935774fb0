import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import { openStateMachine } from "../../../store/apply/state-machine.ts";
import { LmdbBackend } from "../../../store/backend/lmdb-backend.ts";
import { MemBackend } from "../../../store/backend/mem-backend.ts";
import { InternalRaftRequest } from "../../../store/proto/gen/internal.ts";
import {
  AlarmRequest_AlarmAction as ACTION,
  AlarmType as ALARM,
  AlarmResponse,
  LeaseGrantResponse,
  PutRequest,
  RangeRequest,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { noConfigure } from "../membership/configurer.ts";
import { fromRecord } from "../mvcc/model.ts";
import { bytes, refusal, responseOf, StateBed } from "./state-bed.ts";

const EVERYTHING = RangeRequest.create({ key: bytes("\0"), rangeEnd: bytes("\0") });

function putEntry(index: number, key: string, id = 0n): Entry {
  const request = {
    $case: "put" as const,
    value: PutRequest.create({ key: bytes(key), value: bytes(`${index}`) }),
  };
  const header = { ID: id, username: "", authRevision: 0 };
  return { term: 1, index, kind: "normal", data: InternalRaftRequest.encode({ header, request }).finish() };
}

it("StateMachine starts at revision 1, and the first put makes 2", () => {
  const bed = new StateBed();
  assert.equal(bed.state.revision, 1);
  assert.equal(bed.state.appliedIndex, 0);
  assert.equal(bed.state.compactRevision, -1);
  bed.put("a", "1");
  assert.equal(bed.state.revision, 2);
  const [kv] = bed.range("a").kvs;
  assert.deepEqual(kv, {
    key: "a",
    value: "1",
    createRevision: 2,
    modRevision: 2,
    version: 1,
    lease: 0n,
  });
});

it("StateMachine.apply() gives the id of the call that waits, and the revision after the entry", () => {
  const { state } = new StateBed();
  const { requestId, outcome } = runAtOnce(state.apply(putEntry(1, "a", 77n), noConfigure));
  assert.equal(requestId, 77n);
  assert.deepEqual(outcome, { kind: "done", revision: 2, response: Buffer.alloc(0) });
});

it("StateMachine.apply() passes over what was applied, and refuses a gap", () => {
  const { state } = new StateBed();
  runAtOnce(state.apply(putEntry(1, "a"), noConfigure));
  runAtOnce(state.apply(putEntry(1, "a"), noConfigure));
  assert.equal(state.revision, 2);
  assert.throws(() => runAtOnce(state.apply(putEntry(3, "a"), noConfigure)), /entry 3 follows 1/);
});

it("StateMachine.apply() counts entries that carry no request", async () => {
  const bed = new StateBed();
  runAtOnce(bed.state.apply({ term: 4, index: 1, kind: "normal", data: Buffer.alloc(0) }, noConfigure));
  runAtOnce(bed.state.apply({ term: 4, index: 2, kind: "normal", data: Buffer.alloc(0) }, noConfigure));
  assert.deepEqual([bed.state.appliedIndex, bed.state.appliedTerm, bed.state.revision], [2, 4, 1]);
  await bed.state.flush();
  const reopened = openStateMachine({
    backend: new MemBackend({ file: bed.file }),
    quotaBytes: 0,
    minLeaseTtlSeconds: 2,
  });
  assert.deepEqual([reopened.state.appliedIndex, reopened.state.appliedTerm], [2, 4]);
});

it("StateMachine.apply() stops at a request that only a newer version knows", () => {
  const { state } = new StateBed();
  const data = InternalRaftRequest.encode({
    header: { ID: 1n, username: "", authRevision: 0 },
    request: undefined,
  }).finish();
  assert.throws(() => runAtOnce(state.apply({ term: 1, index: 1, kind: "normal", data }, noConfigure)), {
    code: "EUNKNOWNENTRY",
    message: /^Cannot apply entry 1: it carries no request that this version knows/,
  });
  assert.equal(state.appliedIndex, 0);
});

it("StateMachine.flush() moves flushedIndex to what was applied when it began, and calls meanwhile share the next", async () => {
  let release: () => void = () => undefined;
  let commits = 0;
  const backend = new MemBackend({
    beforeCommit: () => {
      commits += 1;
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  const { state } = openStateMachine({ backend, quotaBytes: 0, minLeaseTtlSeconds: 2 });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  runAtOnce(state.apply(putEntry(1, "a"), noConfigure));
  const first = state.flush();
  runAtOnce(state.apply(putEntry(2, "a"), noConfigure));
  const second = state.flush();
  assert.equal(state.flush(), second);
  await turn();
  assert.deepEqual([commits, state.flushedIndex], [1, 0]);
  release();
  await first;
  assert.equal(state.flushedIndex, 1);
  await turn();
  release();
  await second;
  assert.deepEqual([commits, state.flushedIndex], [2, 2]);
});

it("StateMachine refuses leases that are not there, and deletes the keys of a revoked one in order at one revision", () => {
  const bed = new StateBed();
  const value = PutRequest.create({ key: bytes("a"), lease: 9n });
  assert.equal(refusal(bed.apply({ $case: "put", value })), "LeaseNotFound");
  const granted = LeaseGrantResponse.decode(responseOf(bed.grant(9n, 1)));
  assert.deepEqual([granted.ID, granted.TTL], [9n, 2]);
  assert.equal(refusal(bed.grant(9n, 1)), "LeaseExist");
  assert.equal(refusal(bed.grant(8n, 9_000_000_001)), "LeaseTTLTooLarge");
  for (const key of ["c", "a", "b", "d"]) bed.put(key, "", { lease: 9n });
  bed.put("d");
  const { revision } = bed.state;
  const seen: number[] = [];
  const spec = {
    key: bytes("\0"),
    rangeEnd: bytes("\0"),
    startRevision: 0,
    prevKv: false,
    noPut: false,
    noDelete: false,
  };
  bed.opened.watchHub.watch(spec, {
    offer: (output) => {
      if (output.kind === "events")
        for (const batch of output.batches) seen.push(batch.revision, batch.events.length);
      return true;
    },
  });
  assert.equal(bed.revoke(9n).kind, "done");
  assert.equal(bed.state.revision, revision + 1);
  assert.deepEqual(seen, [revision + 1, 3]);
  assert.deepEqual(
    bed.range("\0", "\0").kvs.map(({ key }) => key),
    ["d"],
  );
  assert.equal(refusal(bed.revoke(9n)), "LeaseNotFound");
});

it("StateMachine keeps alarms over a restart, and NOSPACE refuses what could add a byte", async () => {
  const bed = new StateBed();
  bed.put("a", "1");
  const alarm = (action: number, memberID: bigint, type: number) =>
    AlarmResponse.decode(
      responseOf(bed.apply({ $case: "alarm", value: { action: action as 0, memberID, alarm: type as 0 } })),
    ).alarms;
  assert.deepEqual(alarm(ACTION.GET, 0n, ALARM.NONE), []);
  assert.deepEqual(alarm(ACTION.ACTIVATE, 5n, ALARM.NONE), []);
  assert.deepEqual(alarm(ACTION.DEACTIVATE, 5n, ALARM.NOSPACE), []);
  assert.deepEqual(alarm(ACTION.ACTIVATE, 5n, ALARM.NOSPACE), [{ memberID: 5n, alarm: ALARM.NOSPACE }]);
  await bed.state.flush();
  bed.crashAndReplay();
  assert.deepEqual(bed.state.alarms, [{ memberID: 5n, alarm: ALARM.NOSPACE }]);
  assert.throws(() => bed.put("b", "1"), {
    code: "NoSpace",
    message: "etcdserver: mvcc: database space exceeded",
  });
  assert.equal(refusal(bed.grant(1n)), "NoSpace");
  const put = { request: { $case: "requestPut" as const, value: { key: bytes("b") } } };
  assert.throws(() => bed.txn({ success: [put] }), { code: "NoSpace" });
  assert.equal(bed.txn({}).succeeded, true);
  assert.equal(bed.delete("a").deleted, 1);
  assert.equal(bed.compact(bed.state.revision).kind, "done");
  assert.deepEqual(alarm(ACTION.GET, 0n, ALARM.NONE).length, 1);
  assert.deepEqual(alarm(ACTION.DEACTIVATE, 5n, ALARM.NOSPACE).length, 1);
  assert.deepEqual(bed.state.alarms, []);
  bed.put("b", "1");
});

it("StateMachine refuses everything but alarms while a member is known to be corrupt", () => {
  const bed = new StateBed();
  bed.put("a");
  const alarm = (action: 1 | 2) =>
    bed.apply({ $case: "alarm", value: { action, memberID: 5n, alarm: ALARM.CORRUPT } });
  alarm(ACTION.ACTIVATE);
  for (const run of [() => bed.put("a"), () => bed.delete("a"), () => bed.range("a"), () => bed.txn({})]) {
    assert.throws(run, { code: "Corrupt", message: "etcdserver: corrupt cluster" });
  }
  assert.equal(refusal(bed.compact(1)), "Corrupt");
  alarm(ACTION.DEACTIVATE);
  bed.put("a");
});

it("StateMachine.hasRoom() holds what a request may add against the quota and what is in use", async () => {
  const put = (valueBytes: number) => ({
    $case: "put" as const,
    value: PutRequest.create({ key: bytes("k"), value: Buffer.alloc(valueBytes) }),
  });
  const bed = new StateBed({ quotaBytes: 10_000 });
  assert.equal(bed.state.hasRoom(put(9000)), true);
  assert.equal(bed.state.hasRoom(put(10_000)), false);
  bed.put("a", "x".repeat(9000));
  assert.equal(bed.state.hasRoom(put(900)), false);
  assert.equal(bed.state.hasRoom({ $case: "leaseRevoke", value: { ID: 1n } }), true);
  assert.equal(bed.state.hasRoom({ $case: "leaseGrant", value: { ID: 1n, TTL: 5 } }), true);
  await bed.state.flush();
  assert.equal(bed.state.hasRoom(put(900)), false);
  assert.equal(bed.state.size().quotaBytes, 10_000);
  bed.delete("a");
  bed.compact(bed.state.revision);
  while (bed.state.compactStep());
  await bed.state.flush();
  assert.equal(bed.state.hasRoom(put(900)), true);
  const unlimited = new StateBed({ quotaBytes: -1 });
  assert.equal(unlimited.state.hasRoom(put(1e9)), true);
  const byDefault = new StateBed({ quotaBytes: 0 });
  assert.equal(byDefault.state.size().quotaBytes, 2 * 1024 ** 3);
});

it("StateMachine refuses a compaction twice and of the future", () => {
  const bed = new StateBed();
  for (let i = 0; i < 5; i++) bed.put("a");
  assert.equal(refusal(bed.compact(7)), "FutureRev");
  assert.equal(bed.compact(4).kind, "done");
  assert.equal(refusal(bed.compact(4)), "Compacted");
  assert.equal(refusal(bed.compact(3)), "Compacted");
  assert.throws(() => bed.range("a", "", { revision: 3 }), {
    code: "Compacted",
    message: "etcdserver: mvcc: required revision has been compacted",
  });
  assert.throws(() => bed.range("a", "", { revision: 7 }), {
    code: "FutureRev",
    message: "etcdserver: mvcc: required revision is a future revision",
  });
  assert.equal(bed.range("a", "", { revision: 4 }).kvs[0]?.version, 3);
});

it("StateMachine.range() of many keys comes in steps, all at one revision, and compaction waits for it", () => {
  const bed = new StateBed();
  const keys = Array.from({ length: 6000 }, (_, i) => `k${String(i).padStart(5, "0")}`);
  for (const key of keys) bed.put(key, "first");
  const { revision } = bed.state;
  const reading = bed.state.range(EVERYTHING);
  assert.equal(reading.next().done, false);
  for (const key of keys.slice(0, 4000)) bed.put(key, "second");
  bed.delete("k03", "k05");
  bed.compact(bed.state.revision);
  for (let i = 0; i < 5; i++) assert.equal(bed.state.compactStep(), true);
  let steps = 1;
  let next = reading.next();
  for (; next.done !== true; next = reading.next()) steps += 1;
  assert.ok(steps >= 10, `${steps} steps`);
  assert.equal(next.value.revision, revision);
  assert.deepEqual(
    next.value.kvs.map(fromRecord).map(({ key, value }) => [key, value]),
    keys.map((key) => [key, "first"]),
  );
  while (bed.state.compactStep());
  assert.throws(() => bed.range("k", "", { revision }), { code: "Compacted" });
  assert.equal(bed.range("\0", "\0").count, 4000);
});

it("StateMachine.compactStep() goes on when a read that it waited for is given up", () => {
  const bed = new StateBed();
  for (let i = 0; i < 6000; i++) bed.put(`k${i}`);
  const reading = bed.state.range(EVERYTHING);
  reading.next();
  bed.put("k1");
  bed.compact(bed.state.revision);
  assert.equal(bed.state.compactStep(), true);
  reading.return({ revision: 0, kvs: [], more: false, count: 0 });
  let steps = 0;
  while (bed.state.compactStep() && steps < 1000) steps += 1;
  assert.ok(steps < 1000, `${steps} steps`);
});

it("StateMachine.readTxn() reads every range at its revision, though that is compacted between two of them", () => {
  const bed = new StateBed();
  for (let i = 0; i < 6000; i++) bed.put(`k${i}`);
  const { revision } = bed.state;
  const range = { request: { $case: "requestRange" as const, value: EVERYTHING } };
  const reading = bed.state.readTxn(TxnRequest.create({ success: [range, range] }));
  assert.equal(reading.next().done, false);
  bed.put("k1", "later");
  bed.compact(bed.state.revision);
  for (let i = 0; i < 50; i++) bed.state.compactStep();
  const answer = runAtOnce(reading);
  assert.equal(answer.revision, revision);
  for (const { response } of TxnResponse.decode(answer.response).responses) {
    assert.equal(response?.$case === "responseRange" && response.value.kvs.length, 6000);
    assert.ok(
      response?.$case === "responseRange" && response.value.kvs.every((kv) => kv.modRevision <= revision),
    );
  }
  while (bed.state.compactStep());
});

it("StateMachine.hashKv() comes in steps, and compaction waits for it", () => {
  const bed = new StateBed();
  for (let i = 0; i < 1500; i++) bed.put(`k${i % 10}`, `${i}`);
  const expected = bed.hash();
  const hashing = bed.state.hashKv(0);
  assert.equal(hashing.next().done, false);
  bed.compact(bed.state.revision);
  for (let i = 0; i < 50; i++) bed.state.compactStep();
  assert.deepEqual(runAtOnce(hashing), expected);
  while (bed.state.compactStep());
});

it("StateMachine.compactStep() deletes the records that no read can see, and finishes after a restart", async () => {
  const bed = new StateBed();
  for (let i = 0; i < 3000; i++) bed.put(`k${i % 10}`, `${i}`);
  bed.compact(bed.state.revision);
  for (let i = 0; i < 3; i++) bed.state.compactStep();
  await bed.state.flush();
  bed.crashAndReplay();
  const records = () => [...bed.backend.range("key", Buffer.alloc(0), undefined, 0)].length;
  assert.ok(records() > 10 && records() < 3000, `${records()} records half way`);
  assert.equal(bed.state.compactRevision, 3001);
  while (bed.state.compactStep());
  assert.equal(records(), 10);
  assert.equal(bed.state.compactStep(), false);
});

it("StateMachine keeps its revision when a compaction leaves nothing but a deletion and the process dies", async () => {
  const bed = new StateBed();
  bed.put("a");
  bed.delete("a");
  bed.put("b");
  bed.delete("b");
  bed.compact(5);
  while (bed.state.compactStep());
  await bed.state.flush();
  bed.crashAndReplay();
  assert.equal(bed.state.revision, 5);
  bed.put("c");
  assert.equal(bed.state.revision, 6);
});

it("StateMachine comes back from an LMDB file with keys, leases, alarms and its place in the log", async () => {
  const folder = await mkdtemp(join(tmpdir(), "state-"));
  try {
    const path = join(folder, "db");
    const open = async () => {
      const backend = await LmdbBackend.open(path);
      return { backend, ...openStateMachine({ backend, quotaBytes: 0, minLeaseTtlSeconds: 2 }) };
    };
    const bed = new StateBed();
    bed.grant(3n, 30);
    for (let i = 0; i < 2000; i++) bed.put(`k${i % 300}`, `${i}`, i % 7 === 0 ? { lease: 3n } : {});
    bed.delete("k1", "k2");
    bed.compact(1500);
    const first = await open();
    for (const entry of bed.log) {
      runAtOnce(first.state.apply(entry, noConfigure));
      if (entry.index % 500 === 0) await first.state.flush();
    }
    for (let i = 0; i < 2; i++) first.state.compactStep();
    await first.state.flush();
    await first.backend.close();
    const second = await open();
    assert.equal(second.state.appliedIndex, bed.log.length);
    assert.equal(second.state.revision, bed.state.revision);
    assert.deepEqual(runAtOnce(second.state.hashKv(0)), bed.hash());
    while (second.state.compactStep()) await second.state.flush();
    assert.deepEqual(runAtOnce(second.state.hashKv(0)), bed.hash());
    const { kvs } = runAtOnce(second.state.range(EVERYTHING));
    assert.deepEqual(kvs.map(fromRecord), bed.range("\0", "\0").kvs);
    assert.deepEqual(
      [...(second.lessor.lookup(3n)?.keys ?? [])].sort(),
      [...(bed.opened.lessor.lookup(3n)?.keys ?? [])].sort(),
    );
    assert.ok(second.state.size().inUseBytes > 0);
    await second.backend.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
