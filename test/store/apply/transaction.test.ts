import assert from "node:assert/strict";
import { it } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import {
  type Compare,
  Compare_CompareResult as RESULT,
  Compare_CompareTarget as TARGET,
  TxnRequest,
  TxnResponse,
} from "../../../store/proto/gen/rpc.ts";
import { fromKeyValue } from "../mvcc/model.ts";
import { bytes, StateBed } from "./state-bed.ts";

type Op =
  NonNullable<Parameters<typeof TxnRequest.create>[0]> extends { success?: readonly (infer T)[] }
    ? NonNullable<T>
    : never;

const put = (key: string, value: string, more: object = {}): Op => ({
  request: { $case: "requestPut", value: { key: bytes(key), value: bytes(value), ...more } },
});
const get = (key: string, more: object = {}): Op => ({
  request: { $case: "requestRange", value: { key: bytes(key), ...more } },
});
const remove = (key: string, rangeEnd = "", prevKv = false): Op => ({
  request: {
    $case: "requestDeleteRange",
    value: { key: bytes(key), rangeEnd: bytes(rangeEnd), prevKv },
  },
});
const nested = (request: object): Op => ({ request: { $case: "requestTxn", value: request } });

/** What a transaction answered, in few words: "2:a=1" is a range at revision 2, "put@3", "deleted 1@3", nested "[…]". */
function summary({ succeeded, responses }: TxnResponse): string {
  const parts = responses.map(({ response }) => {
    switch (response?.$case) {
      case "responseRange": {
        const kvs = response.value.kvs.map(fromKeyValue).map(({ key, value }) => `${key}=${value}`);
        return `${response.value.header?.revision}:${kvs.join(",")}`;
      }
      case "responsePut": {
        const { header, prevKv } = response.value;
        return `put@${header?.revision}${prevKv === undefined ? "" : ` was ${prevKv.value}`}`;
      }
      case "responseDeleteRange":
        return `deleted ${response.value.deleted}@${response.value.header?.revision}`;
      case "responseTxn":
        assert.deepEqual(response.value.header?.revision, 0);
        return `[${summary(response.value)}]`;
      default:
        return "nothing";
    }
  });
  return `${succeeded ? "then" : "else"} ${parts.join(" ")}`;
}

it("a transaction's ranges see what came before them in it, and its changes share one revision", () => {
  const bed = new StateBed();
  bed.put("a", "old");
  const response = bed.txn({
    success: [get("a"), put("a", "new", { prevKv: true }), get("a"), remove("a"), get("a"), put("b", "1")],
  });
  assert.equal(summary(response), "then 2:a=old put@3 was old 3:a=new deleted 1@3 3: put@3");
  assert.equal(bed.state.revision, 3);
  assert.deepEqual(
    bed.range("\0", "\0").kvs.map(({ key, modRevision }) => [key, modRevision]),
    [["b", 3]],
  );
});

it("a transaction that changes nothing makes no revision", () => {
  const bed = new StateBed();
  bed.put("a", "1");
  assert.equal(summary(bed.txn({ success: [remove("z"), get("a")] })), "then deleted 0@2 2:a=1");
  assert.equal(bed.state.revision, 2);
});

it("a nested transaction is decided before anything is written", () => {
  const bed = new StateBed();
  bed.put("a", "1");
  const isNew = { compare: [{ key: bytes("b"), target: TARGET.VERSION, result: RESULT.EQUAL }] };
  const response = bed.txn({
    success: [
      put("b", "2"),
      nested({
        ...isNew,
        success: [put("c", "3"), nested({ success: [get("b"), get("c")] })],
        failure: [put("d", "4")],
      }),
      get("c"),
    ],
  });
  assert.equal(summary(response), "then put@3 [then put@3 [then 3:b=2 3:c=3]] 3:c=3");
});

it("a refused operation leaves nothing half done, wherever it stands", () => {
  const bed = new StateBed();
  bed.put("a", "1");
  bed.put("a", "2");
  bed.compact(3);
  const first = put("x", "1");
  for (const [op, code] of [
    [put("b", "1", { lease: 99n }), "LeaseNotFound"],
    [put("absent", "", { ignoreValue: true }), "KeyNotFound"],
    [put("absent", "v", { ignoreLease: true }), "KeyNotFound"],
    [get("a", { revision: 2 }), "Compacted"],
    [get("a", { revision: 999 }), "FutureRev"],
  ] as const) {
    assert.throws(() => bed.txn({ success: [first, op] }), { code });
    assert.throws(() => bed.txn({ success: [first, nested({ success: [op] })] }), { code });
    assert.equal(
      bed.txn({ success: [first], failure: [op] }).succeeded,
      true,
      "the other branch does not count",
    );
    bed.delete("x");
  }
  assert.deepEqual(
    bed.range("\0", "\0").kvs.map(({ key }) => key),
    ["a"],
  );
});

it("a put in a transaction can keep the value or the lease", () => {
  const bed = new StateBed();
  bed.grant(7n);
  bed.put("a", "kept", { lease: 7n });
  bed.txn({ success: [put("a", "", { ignoreValue: true, ignoreLease: true })] });
  const [kv] = bed.range("a").kvs;
  assert.deepEqual([kv?.value, kv?.lease, kv?.version], ["kept", 7n, 2]);
  assert.deepEqual([...(bed.opened.lessor.lookup(7n)?.keys ?? [])], ["a"]);
});

/** Key "k": created at 2, modified at 4, version 3, value "m", lease 5. */
function bedWithKey(): StateBed {
  const bed = new StateBed();
  bed.grant(5n);
  for (const value of ["1", "2", "m"]) bed.put("k", value, { lease: 5n });
  return bed;
}

const facts = [
  [TARGET.VERSION, (at: number) => ({ $case: "version" as const, value: 3 + at }), "VERSION"],
  [TARGET.CREATE, (at: number) => ({ $case: "createRevision" as const, value: 2 + at }), "CREATE"],
  [TARGET.MOD, (at: number) => ({ $case: "modRevision" as const, value: 4 + at }), "MOD"],
  [TARGET.VALUE, (at: number) => ({ $case: "value" as const, value: bytes("lmn"[1 + at] ?? "") }), "VALUE"],
  [TARGET.LEASE, (at: number) => ({ $case: "lease" as const, value: BigInt(5 + at) }), "LEASE"],
] as const;

for (const [target, union, name] of facts) {
  it(`a comparison of ${name} knows equal, not equal, greater and less`, () => {
    const bed = bedWithKey();
    const holds = (result: Compare["result"], at: number, key = "k") =>
      bed.txn({ compare: [{ key: bytes(key), target, result, targetUnion: union(at) }] }).succeeded;
    // What is stored is below, at, above what is asked for: at = 1, 0, -1.
    assert.deepEqual(
      [1, 0, -1].map((at) => holds(RESULT.EQUAL, at)),
      [false, true, false],
    );
    assert.deepEqual(
      [1, 0, -1].map((at) => holds(RESULT.NOT_EQUAL, at)),
      [true, false, true],
    );
    assert.deepEqual(
      [1, 0, -1].map((at) => holds(RESULT.GREATER, at)),
      [false, false, true],
    );
    assert.deepEqual(
      [1, 0, -1].map((at) => holds(RESULT.LESS, at)),
      [true, false, false],
    );
    // A missing key compares as zero; its value as nothing that could be compared.
    assert.equal(holds(RESULT.LESS, 0, "absent"), target !== TARGET.VALUE);
    assert.equal(holds(RESULT.NOT_EQUAL, 0, "absent"), target !== TARGET.VALUE);
  });
}

it("a comparison without a value compares with zero", () => {
  const bed = bedWithKey();
  for (const target of [TARGET.VERSION, TARGET.CREATE, TARGET.MOD, TARGET.LEASE]) {
    const compare = (key: string) => [{ key: bytes(key), target, result: RESULT.EQUAL }];
    assert.equal(bed.txn({ compare: compare("k") }).succeeded, false);
    assert.equal(bed.txn({ compare: compare("absent") }).succeeded, true);
  }
});

it("a comparison over a range holds when it does for each key, and for an empty range as for a missing key", () => {
  const bed = new StateBed();
  for (const key of ["a", "b", "b", "c"]) bed.put(key);
  const holds = (from: string, to: string, version: number) =>
    bed.txn({
      compare: [
        {
          key: bytes(from),
          rangeEnd: bytes(to),
          target: TARGET.VERSION,
          result: RESULT.EQUAL,
          targetUnion: { $case: "version", value: version },
        },
      ],
    }).succeeded;
  assert.equal(holds("a", "b", 1), true);
  assert.equal(holds("a", "c", 1), false);
  assert.equal(holds("c", "\0", 1), true);
  assert.equal(holds("x", "\0", 0), true);
  assert.equal(holds("x", "\0", 1), false);
});

it("all comparisons must hold, and none at all holds", () => {
  const bed = bedWithKey();
  const version = (value: number) => ({
    key: bytes("k"),
    target: TARGET.VERSION,
    result: RESULT.EQUAL,
    targetUnion: { $case: "version" as const, value },
  });
  assert.equal(bed.txn({ compare: [version(3), version(3)] }).succeeded, true);
  assert.equal(bed.txn({ compare: [version(3), version(4)] }).succeeded, false);
  assert.equal(bed.txn({}).succeeded, true);
});

it("StateMachine.readTxn() answers a transaction that only reads, as apply would", () => {
  const bed = bedWithKey();
  const request = {
    compare: [{ key: bytes("k"), target: TARGET.VERSION, result: RESULT.GREATER }],
    success: [get("k"), nested({ success: [get("k", { revision: 2 })] })],
    failure: [get("absent")],
  };
  const { revision, response } = runAtOnce(bed.state.readTxn(TxnRequest.create(request)));
  assert.equal(revision, 4);
  assert.equal(summary(TxnResponse.decode(response)), "then 4:k=m [then 4:k=1]");
  assert.deepEqual(TxnResponse.decode(response), bed.txn(request));
  const future = TxnRequest.create({ success: [get("k", { revision: 9 })] });
  assert.throws(() => runAtOnce(bed.state.readTxn(future)), { code: "FutureRev" });
});
