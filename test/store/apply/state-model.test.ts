import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { checkTxn } from "../../../store/apply/validate.ts";
import {
  RangeRequest_SortOrder as ORDER,
  type RangeRequest,
  type RequestOp,
  RangeRequest_SortTarget as TARGET,
  TxnRequest,
} from "../../../store/proto/gen/rpc.ts";
import { fromKeyValue, type ModelKv, ModelStore, type ModelTxn } from "../mvcc/model.ts";
import { ModelWatcher, type ModelWatchSpec } from "./model-watcher.ts";
import { bytes, refusal, StateBed } from "./state-bed.ts";

const KEYS = ["a", "a\0", "aa", "ab", "b", "b\xff", "c", "\xff", "\xff\xff"];
const LEASES = [0n, 1n, 2n];
const OPS_MAX = 128;

const key = fc.constantFrom(...KEYS);
const value = fc.constantFrom("", "1", "22", "\x80");
const rangeEnd = fc.oneof(fc.constant(""), fc.constant("\0"), key);
const lease = fc.constantFrom(...LEASES);
const rarely = fc.nat({ max: 9 }).map((drawn) => drawn === 9);

const put = fc.record({
  kind: fc.constant("put" as const),
  key,
  value,
  lease: fc.oneof({ weight: 3, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: lease }),
  prevKv: fc.boolean(),
  ignoreValue: rarely,
  ignoreLease: rarely,
});
const remove = fc.record({ kind: fc.constant("delete" as const), key, rangeEnd, prevKv: fc.boolean() });
const txn = fc.record({
  kind: fc.constant("txn" as const),
  compareKey: key,
  compareVersion: fc.nat({ max: 3 }),
  success: fc.array(fc.oneof(put, remove), { maxLength: 4 }),
  failure: fc.array(fc.oneof(put, remove), { maxLength: 2 }),
});
const range = fc.record({
  kind: fc.constant("range" as const),
  key,
  rangeEnd,
  revisionBack: fc.nat({ max: 12 }),
  limit: fc.nat({ max: 4 }),
  sortOrder: fc.constantFrom(...Object.values(ORDER)),
  sortTarget: fc.constantFrom(...Object.values(TARGET)),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  bounds: fc.option(
    fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 20 })),
    {
      nil: undefined,
    },
  ),
});
const watch = fc.record({
  kind: fc.constant("watch" as const),
  spec: fc.record({ key, rangeEnd, prevKv: fc.boolean(), noPut: fc.boolean(), noDelete: fc.boolean() }),
  back: fc.option(fc.integer({ min: -3, max: 20 }), { nil: undefined }),
});
const step = fc.oneof(
  { weight: 12, arbitrary: put },
  { weight: 3, arbitrary: remove },
  { weight: 3, arbitrary: txn },
  { weight: 6, arbitrary: range },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("grant" as const), id: lease }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("revoke" as const), id: lease }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("compact" as const), back: fc.integer({ min: -1, max: 8 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("compactStep" as const) }) },
  { weight: 2, arbitrary: watch },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("room" as const),
      who: fc.nat({ max: 5 }),
      outputs: fc.nat({ max: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("catchUp" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), who: fc.nat({ max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("flush" as const), wait: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Put = typeof put extends fc.Arbitrary<infer T> ? T : never;
type Remove = typeof remove extends fc.Arbitrary<infer T> ? T : never;
type RangeStep = typeof range extends fc.Arbitrary<infer T> ? T : never;

/** A bed and its model, driven by the same steps; the model first, for watchers are told at once. */
class Twins {
  readonly bed = new StateBed();
  readonly model = new ModelStore();
  readonly leases = new Set<bigint>();
  watchers: ModelWatcher[] = [];

  async run(one: Step): Promise<void> {
    switch (one.kind) {
      case "put":
        return this.put(one);
      case "delete":
        return this.delete(one);
      case "txn":
        return this.txn(one);
      case "range":
        return this.range(one);
      case "grant":
        return this.grant(one.id);
      case "revoke":
        return this.revoke(one.id);
      case "compact":
        return this.compact(this.model.revision - one.back);
      case "compactStep":
        this.bed.state.compactStep();
        return;
      case "watch":
        return this.watch(one.spec, one.back);
      case "room":
        return this.watchers[one.who]?.makeRoom(one.outputs);
      case "catchUp":
        this.bed.opened.watchHub.catchUpStep();
        return this.reconnect();
      case "cancel":
        this.watchers[one.who]?.cancel();
        this.watchers = this.watchers.filter((_, i) => i !== one.who);
        return;
      case "flush": {
        const done = this.bed.state.flush();
        if (one.wait) await done;
        return;
      }
      case "crash":
        return this.crash();
      default:
        return one satisfies never;
    }
  }

  /** Compares what is there now, at every readable revision, and lets every watcher have all it should. */
  settle(): void {
    assert.equal(this.bed.state.revision, this.model.revision);
    for (let at = Math.max(1, this.model.compactRevision); at <= this.model.revision; at++) {
      const { kvs } = this.bed.range("\0", "\0", { revision: at });
      assert.deepEqual(kvs, this.model.range("\0", undefined, at), `content at revision ${at}`);
    }
    for (const { id, keys } of this.bed.opened.lessor.all()) {
      const attached = this.model.range("\0", undefined, this.model.revision).filter((kv) => kv.lease === id);
      assert.deepEqual(
        [...keys].sort(),
        attached.map((kv) => kv.key),
      );
    }
    for (let round = 0; round < 100; round++) {
      for (const watcher of this.watchers) watcher.makeRoom(1000);
      while (this.bed.opened.watchHub.catchUpStep());
      this.reconnect();
    }
    for (const watcher of this.watchers) watcher.assertCaughtUp();
  }

  put(one: Put): void {
    const refused = this.#putRefusal(one);
    if (refused === undefined) this.model.write((write) => this.#putInModel(one, write));
    assert.equal(refusal(this.bed.apply({ $case: "put", value: putRequest(one) })), refused);
  }

  delete(one: Remove): void {
    let gone: ModelKv[] = [];
    this.model.write((write) => {
      gone = write.deleteRange(...modelRange(one));
    });
    const { deleted, prevKvs } = this.bed.delete(one.key, one.rangeEnd, one.prevKv);
    assert.equal(deleted, gone.length);
    assert.deepEqual(prevKvs.map(fromKeyValue), one.prevKv ? gone : []);
  }

  txn(one: Step & { kind: "txn" }): void {
    const version = this.model.get(one.compareKey, this.model.revision)?.version ?? 0;
    const holds = version === one.compareVersion;
    const ops = holds ? one.success : one.failure;
    const refused = ops.map((op) => (op.kind === "put" ? this.#putRefusal(op) : undefined)).find(Boolean);
    const request = {
      compare: [
        { key: bytes(one.compareKey), targetUnion: { $case: "version" as const, value: one.compareVersion } },
      ],
      success: one.success.map(requestOp),
      failure: one.failure.map(requestOp),
    };
    const isAllowed = !overlaps(one.success) && !overlaps(one.failure);
    if (!isAllowed) {
      assert.throws(() => checkTxn(TxnRequest.create(request), OPS_MAX), { code: "DuplicateKey" });
      return;
    }
    checkTxn(TxnRequest.create(request), OPS_MAX);
    if (refused !== undefined) {
      assert.throws(() => this.bed.txn(request), { code: refused });
      return;
    }
    this.model.write((write) => {
      for (const op of ops) {
        if (op.kind === "put") this.#putInModel(op, write);
        else write.deleteRange(...modelRange(op));
      }
    });
    const response = this.bed.txn(request);
    assert.equal(response.succeeded, holds);
    assert.equal(response.responses.length, ops.length);
  }

  range(one: RangeStep): void {
    const revision = one.revisionBack === 0 ? 0 : Math.max(1, this.model.revision + 2 - one.revisionBack);
    const [minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0] = one.bounds ?? [];
    const request: Partial<RangeRequest> = {
      revision,
      limit: one.limit,
      sortOrder: one.sortOrder,
      sortTarget: one.sortTarget,
      keysOnly: one.keysOnly,
      countOnly: one.countOnly,
      minModRevision: minMod,
      maxModRevision: maxMod,
      minCreateRevision: minCreate,
      maxCreateRevision: maxCreate,
    };
    const run = () => this.bed.range(one.key, one.rangeEnd, request);
    if (revision > this.model.revision) assert.throws(run, { code: "FutureRev" });
    else if (revision !== 0 && revision < this.model.compactRevision)
      assert.throws(run, { code: "Compacted" });
    else {
      const all = this.model.range(...modelRange(one), revision || this.model.revision);
      const answer = run();
      assert.equal(answer.revision, this.model.revision);
      assert.equal(answer.count, all.length);
      assert.deepEqual({ kvs: answer.kvs, more: answer.more }, expectedRange(all, one));
    }
  }

  grant(id: bigint): void {
    const expected = id === 0n ? "LeaseNotFound" : this.leases.has(id) ? "LeaseExist" : undefined;
    assert.equal(refusal(this.bed.grant(id)), expected);
    if (expected === undefined) this.leases.add(id);
  }

  revoke(id: bigint): void {
    const refused = this.leases.has(id) ? undefined : "LeaseNotFound";
    this.leases.delete(id);
    this.model.write((write) => {
      for (const kv of this.model.range("\0", undefined, this.model.revision)) {
        if (id !== 0n && kv.lease === id) write.deleteRange(...modelRange({ key: kv.key, rangeEnd: "" }));
      }
    });
    assert.equal(refusal(this.bed.revoke(id)), refused);
  }

  compact(revision: number): void {
    const expected =
      revision <= this.model.compactRevision
        ? "Compacted"
        : revision > this.model.revision
          ? "FutureRev"
          : undefined;
    assert.equal(refusal(this.bed.compact(revision)), expected);
    if (expected === undefined) this.model.compactRevision = revision;
    assert.equal(this.bed.state.compactRevision, this.model.compactRevision);
  }

  watch(spec: ModelWatchSpec, back: number | undefined): void {
    if (this.watchers.length > 5) return;
    const start = back === undefined ? 0 : Math.max(1, this.model.revision - back);
    const watcher = new ModelWatcher(spec, this.model, start);
    watcher.connect(this.bed.opened);
    this.watchers.push(watcher);
  }

  reconnect(): void {
    for (const watcher of this.watchers) if (!watcher.isConnected) watcher.connect(this.bed.opened);
  }

  crash(): void {
    this.bed.crashAndReplay();
    for (const watcher of this.watchers) watcher.connect(this.bed.opened);
  }

  #putRefusal(one: Put): string | undefined {
    if (one.lease !== 0n && !one.ignoreLease && !this.leases.has(one.lease)) return "LeaseNotFound";
    const exists = this.model.get(one.key, this.model.revision) !== undefined;
    return (one.ignoreValue || one.ignoreLease) && !exists ? "KeyNotFound" : undefined;
  }

  #putInModel(one: Put, write: ModelTxn): void {
    const known = write.state.get(one.key);
    write.put(
      one.key,
      one.ignoreValue ? (known?.value ?? "") : one.value,
      one.ignoreLease ? (known?.lease ?? 0n) : one.lease,
    );
  }
}

function putRequest({ key, value, lease, prevKv, ignoreValue, ignoreLease }: Put) {
  return {
    key: bytes(key),
    value: bytes(ignoreValue ? "" : value),
    lease: ignoreLease ? 0n : lease,
    prevKv,
    ignoreValue,
    ignoreLease,
  };
}

function requestOp(one: Put | Remove): RequestOp {
  return one.kind === "put"
    ? { request: { $case: "requestPut", value: putRequest(one) } }
    : {
        request: {
          $case: "requestDeleteRange",
          value: { key: bytes(one.key), rangeEnd: bytes(one.rangeEnd), prevKv: one.prevKv },
        },
      };
}

/** Two puts, or a put and a delete, meet on a key; a delete up to the last key does not count, as in etcd. */
function overlaps(ops: readonly (Put | Remove)[]): boolean {
  const puts = ops.filter((op) => op.kind === "put").map((op) => op.key);
  const deletes = ops.filter((op) => op.kind === "delete").map(modelRange);
  return (
    new Set(puts).size < puts.length ||
    puts.some((at) => deletes.some(([from, to]) => at >= from && to !== undefined && at < to))
  );
}

function modelRange({ key, rangeEnd }: { key: string; rangeEnd: string }): [string, string | undefined] {
  if (rangeEnd === "") return [key, `${key}\0`];
  return [key, rangeEnd === "\0" ? undefined : rangeEnd];
}

/** etcd's order of doing things: limit first when nothing else can leave a key out, then filter, sort, cut. */
function expectedRange(all: ModelKv[], one: RangeStep): { kvs: ModelKv[]; more: boolean } {
  if (one.countOnly) return { kvs: [], more: false };
  const filters = (one.bounds ?? []).some((bound) => bound !== 0);
  const plainOrder =
    one.sortOrder === ORDER.NONE || (one.sortTarget === TARGET.KEY && one.sortOrder === ORDER.ASCEND);
  let kvs = one.limit > 0 && plainOrder && !filters ? all.slice(0, one.limit + 1) : [...all];
  const [minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0] = one.bounds ?? [];
  kvs = kvs.filter(
    (kv) =>
      kv.modRevision >= minMod &&
      (maxMod === 0 || kv.modRevision <= maxMod) &&
      kv.createRevision >= minCreate &&
      (maxCreate === 0 || kv.createRevision <= maxCreate),
  );
  const direction = one.sortOrder === ORDER.DESCEND ? -1 : 1;
  kvs.sort((a, b) => direction * compareBy(one.sortTarget, a, b));
  const more = one.limit > 0 && kvs.length > one.limit;
  if (more) kvs = kvs.slice(0, one.limit);
  const fromIndex = one.sortTarget !== TARGET.VALUE;
  return {
    kvs: one.keysOnly ? kvs.map((kv) => ({ ...kv, value: "", ...(fromIndex ? { lease: 0n } : {}) })) : kvs,
    more,
  };
}

function compareBy(target: number, a: ModelKv, b: ModelKv): number {
  switch (target) {
    case TARGET.KEY:
      return a.key < b.key ? -1 : 1;
    case TARGET.VERSION:
      return a.version - b.version;
    case TARGET.CREATE:
      return a.createRevision - b.createRevision;
    case TARGET.MOD:
      return a.modRevision - b.modRevision;
    default:
      return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  }
}

it("StateMachine behaves as the whole history in an array does, through crashes, compactions and slow watchers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 250, size: "max" }), async (steps) => {
      const twins = new Twins();
      for (const one of steps) await twins.run(one);
      twins.settle();
      const before = twins.bed.hash();
      twins.crash();
      twins.settle();
      assert.deepEqual(twins.bed.hash(), before, "a replay gives the same hash");
      const other = new StateBed();
      for (const entry of twins.bed.log) other.applyEntry(entry);
      assert.deepEqual(other.hash(), before, "another member that applied the same log has the same hash");
      while (twins.bed.state.compactStep());
      assert.deepEqual(twins.bed.hash(), before, "a finished compaction does not change the hash");
      twins.settle();
    }),
    { numRuns: 300 },
  );
});
