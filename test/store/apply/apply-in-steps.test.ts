import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { errorCode } from "../../../base/errors.ts";
import { runAtOnce } from "../../../base/steps.ts";
import { openStateMachine } from "../../../store/apply/state-machine.ts";
import type { Applied } from "../../../store/apply/types.ts";
import { MemBackend } from "../../../store/backend/mem-backend.ts";
import { InternalRaftRequest } from "../../../store/proto/gen/internal.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../../store/proto/gen/rpc.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { Received, specOf } from "../watch/watch-bed.ts";
import { bytes, type Request, responseOf, StateBed } from "./state-bed.ts";

const KEYS = 3000;
const LEASE = 5n;
const EVERYTHING = { key: bytes("\0"), rangeEnd: bytes("\0") };

const deletion = DeleteRangeRequest.create({ ...EVERYTHING, prevKv: true });
const LARGE: Readonly<Record<string, Request>> = {
  "a deletion of many keys": { $case: "deleteRange", value: deletion },
  "the revocation of a lease with many keys": { $case: "leaseRevoke", value: { ID: LEASE } },
  "a transaction that compares, reads and deletes many keys": {
    $case: "txn",
    value: TxnRequest.create({
      compare: [
        {
          ...EVERYTHING,
          result: Compare_CompareResult.GREATER,
          target: Compare_CompareTarget.CREATE,
          targetUnion: { $case: "createRevision", value: 0 },
        },
      ],
      success: [
        {
          request: {
            $case: "requestPut",
            value: PutRequest.create({ key: bytes("new"), value: bytes("1") }),
          },
        },
        { request: { $case: "requestRange", value: RangeRequest.create(EVERYTHING) } },
        { request: { $case: "requestDeleteRange", value: deletion } },
        {
          request: { $case: "requestPut", value: PutRequest.create({ key: bytes("k7"), value: bytes("2") }) },
        },
      ],
    }),
  },
};

/** A state with many keys, all of them of one lease. */
function filled(): StateBed {
  const bed = new StateBed();
  bed.grant(LEASE, 60);
  for (let i = 0; i < KEYS; i += 1) bed.put(`k${i}`, `value ${i}`, { lease: LEASE });
  return bed;
}

function entryOf(bed: StateBed, request: Request): Entry {
  const header = { ID: 77n, username: "", authRevision: 0 };
  const data = InternalRaftRequest.encode({ header, request }).finish();
  return { term: 1, index: bed.log.length + 1, kind: "normal", data };
}

/** Applies the entry step by step, with something done between each two; gives what came of it and the number of steps. */
function step(
  bed: StateBed,
  entry: Entry,
  between: (done: number) => void,
): { applied: Applied; steps: number } {
  const steps = bed.state.apply(entry, bed.configure);
  for (let done = 1; ; done += 1) {
    const one = steps.next();
    if (one.done === true) return { applied: one.value, steps: done };
    between(done);
  }
}

function watch(bed: StateBed, startRevision = 0): Received {
  const received = new Received();
  const spec = specOf({ key: "\0", end: "\0", startRevision, prevKv: true });
  received.watcher = bed.opened.watchHub.watch(spec, received);
  return received;
}

for (const [name, request] of Object.entries(LARGE)) {
  suite(`StateMachine.apply() of ${name}`, () => {
    test("is the same in steps as at once, and is not seen before its end", () => {
      const atOnce = filled();
      const entry = entryOf(atOnce, request);
      const expected = runAtOnce(atOnce.state.apply(entry, atOnce.configure));

      const bed = filled();
      const before = { range: bed.range("\0", "\0"), hash: bed.hash() };
      const { applied, steps } = step(bed, entry, (done) => {
        assert.equal(bed.state.appliedIndex, entry.index - 1);
        // After a write is complete, while watchers are told, it may be read.
        if (bed.state.revision !== before.range.revision || done % 5 !== 0) return;
        assert.deepEqual(bed.range("\0", "\0"), before.range);
        assert.deepEqual(bed.hash(), before.hash);
      });
      assert.ok(steps > 3, `${steps} steps`);
      assert.equal(applied.requestId, 77n);
      assert.equal(applied.outcome.revision, expected.outcome.revision);
      assert.deepEqual(responseOf(applied.outcome), responseOf(expected.outcome));
      assert.deepEqual(bed.hash(), atOnce.hash());
      assert.equal(bed.state.appliedIndex, entry.index);
    });

    test("is told to watchers once and whole, whenever they came", () => {
      const bed = filled();
      const revision = bed.state.revision + 1;
      const first = watch(bed);
      const later: { readonly received: Received; readonly from: number }[] = [];
      step(bed, entryOf(bed, request), (done) => {
        const from = bed.state.revision + 1;
        later.push({ received: watch(bed), from }, { received: watch(bed, revision), from: revision });
        if (done % 2 === 0) bed.opened.watchHub.catchUpStep();
        const isTold = first.outputs.length > 0;
        assert.equal(first.watcher?.tellProgress(), !isTold && bed.state.revision < revision);
        first.outputs.splice(0, first.outputs.findLastIndex(({ kind }) => kind === "progress") + 1);
      });
      while (bed.opened.watchHub.catchUpStep());
      const { texts } = first;
      assert.ok(texts.length >= KEYS);
      for (const { received, from } of later) {
        assert.deepEqual(received.texts, from === revision ? texts : []);
        assert.ok(received.synced);
      }
    });

    test("is flushed when it has ended, whenever that was asked for; a crash before leaves nothing of it", async () => {
      const bed = filled();
      await bed.state.flush();
      const before = bed.state.appliedIndex;
      const revision = bed.state.revision;
      const entry = entryOf(bed, request);
      const flushes: Promise<void>[] = [];
      const steps = bed.state.apply(entry, bed.configure);
      while (steps.next().done !== true) {
        flushes.push(bed.state.flush());
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(bed.state.flushedIndex, before);
        const crashed = openStateMachine({
          backend: new MemBackend({ file: bed.file }),
          quotaBytes: -1,
          minLeaseTtlSeconds: 2,
        });
        assert.deepEqual([crashed.state.appliedIndex, crashed.state.revision], [before, revision]);
      }
      assert.ok(flushes.length > 3);
      await Promise.all(flushes);
      assert.equal(bed.state.flushedIndex, entry.index);
    });

    test("goes on beside a compaction, which changes nothing of it", () => {
      const bed = filled();
      const other = filled();
      for (const one of [bed, other]) {
        for (let i = 0; i < KEYS; i += 1) one.put(`k${i}`, "newer", { lease: LEASE });
        one.compact(one.state.revision - 10);
      }
      const entry = entryOf(bed, request);
      step(bed, entry, () => bed.state.compactStep());
      while (bed.state.compactStep());
      runAtOnce(other.state.apply(entry, other.configure));
      while (other.state.compactStep());
      assert.deepEqual(bed.hash(), other.hash());
      assert.deepEqual(bed.range("\0", "\0"), other.range("\0", "\0"));
    });
  });
}

test("StateMachine.apply() that is given up leaves a state that is never flushed", async () => {
  const bed = filled();
  await bed.state.flush();
  const before = bed.range("\0", "\0");
  const steps = bed.state.apply(entryOf(bed, { $case: "deleteRange", value: deletion }), bed.configure);
  for (let i = 0; i < 4; i += 1) steps.next();
  const waiting = assert.rejects(bed.state.flush(), (error) => errorCode(error) === "EHALFENTRY");
  steps.return(undefined as never);
  await waiting;
  await assert.rejects(bed.state.flush(), (error) => errorCode(error) === "EHALFENTRY");
  await bed.backend.close();
  const again = openStateMachine({
    backend: new MemBackend({ file: bed.file }),
    quotaBytes: -1,
    minLeaseTtlSeconds: 2,
  });
  const { kvs, revision } = runAtOnce(again.state.range(RangeRequest.create(EVERYTHING)));
  assert.deepEqual([kvs.length, revision], [before.kvs.length, before.revision]);
});
