import assert from "node:assert/strict";
import { it } from "node:test";
import {
  checkDeleteRange,
  checkPut,
  checkRange,
  checkTxn,
  isReadOnly,
} from "../../../store/apply/validate.ts";
import {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from "../../../store/proto/gen/rpc.ts";
import { bytes } from "./state-bed.ts";

const OPS_MAX = 128;

const key = bytes("k");

const put = (name: string): RequestOp => ({
  request: { $case: "requestPut", value: PutRequest.create({ key: bytes(name) }) },
});
const range = (name: string): RequestOp => ({
  request: { $case: "requestRange", value: RangeRequest.create({ key: bytes(name) }) },
});
const remove = (name: string, rangeEnd = ""): RequestOp => ({
  request: {
    $case: "requestDeleteRange",
    value: DeleteRangeRequest.create({ key: bytes(name), rangeEnd: bytes(rangeEnd) }),
  },
});
const nested = (success: RequestOp[], failure: RequestOp[] = []): RequestOp => ({
  request: { $case: "requestTxn", value: TxnRequest.create({ success, failure }) },
});
const check = (success: RequestOp[], failure: RequestOp[] = []) =>
  checkTxn(TxnRequest.create({ success, failure }), OPS_MAX);

it("checkRange() wants a key and a known sort option", () => {
  assert.throws(() => checkRange(RangeRequest.create()), {
    code: "EmptyKey",
    message: "etcdserver: key is not provided",
  });
  for (const sort of [{ sortOrder: 3 }, { sortTarget: 5 }, { sortOrder: -1 }, { sortTarget: -1 }]) {
    const request = RangeRequest.decode(
      RangeRequest.encode({ ...RangeRequest.create({ key }), ...(sort as object) }).finish(),
    );
    assert.throws(() => checkRange(request), {
      code: "InvalidSortOption",
      message: "etcdserver: invalid sort option",
    });
  }
  checkRange(RangeRequest.create({ key, sortOrder: 2, sortTarget: 4 }));
});

it("checkPut() wants a key, and no value or lease where the stored one is kept", () => {
  assert.throws(() => checkPut(PutRequest.create()), { code: "EmptyKey" });
  assert.throws(() => checkPut(PutRequest.create({ key, ignoreValue: true, value: bytes("v") })), {
    code: "ValueProvided",
    message: "etcdserver: value is provided",
  });
  assert.throws(() => checkPut(PutRequest.create({ key, ignoreLease: true, lease: 1n })), {
    code: "LeaseProvided",
    message: "etcdserver: lease is provided",
  });
  checkPut(PutRequest.create({ key, ignoreValue: true, ignoreLease: true }));
});

it("checkDeleteRange() wants a key", () => {
  assert.throws(() => checkDeleteRange(DeleteRangeRequest.create()), { code: "EmptyKey" });
  checkDeleteRange(DeleteRangeRequest.create({ key }));
});

it("checkTxn() checks each operation and comparison", () => {
  assert.throws(() => check([put("")]), { code: "EmptyKey" });
  assert.throws(() => check([], [range("")]), { code: "EmptyKey" });
  assert.throws(() => check([nested([remove("")])]), { code: "EmptyKey" });
  assert.throws(() => checkTxn(TxnRequest.create({ compare: [{}] }), OPS_MAX), { code: "EmptyKey" });
  assert.throws(() => check([{ request: undefined }]), {
    code: "KeyNotFound",
    message: "etcdserver: key not found",
  });
});

it("checkTxn() counts the longest of its three lists, and leaves nested transactions the rest", () => {
  const puts = (count: number) => Array.from({ length: count }, (_, i) => put(`k${i}`));
  const tooMany = { code: "TooManyOps", message: "etcdserver: too many operations in txn request" };
  check(puts(128), puts(128));
  assert.throws(() => check(puts(129)), tooMany);
  assert.throws(() => check([], puts(129)), tooMany);
  const compare = Array.from({ length: 129 }, () => ({ key }));
  assert.throws(() => checkTxn(TxnRequest.create({ compare }), OPS_MAX), tooMany);
  check([nested(puts(127))]);
  assert.throws(() => check([nested(puts(128))]), tooMany);
  check([nested([nested(puts(126))])]);
  assert.throws(() => check([nested([nested(puts(127))])]), tooMany);
});

for (const [what, ops] of [
  ["two puts of a key", [put("a"), put("a")]],
  ["a put and a delete of it", [put("a"), remove("a")]],
  ["a delete and a put of it", [remove("a"), put("a")]],
  ["a put inside a deleted range", [put("b"), remove("a", "c")]],
  ["a put and a nested put", [put("a"), nested([put("a")])]],
  ["a put and a put in a nested else", [nested([], [put("a")]), put("a")]],
  ["puts in two nested transactions", [nested([put("a")]), nested([put("a")])]],
  ["a put in one's then, in the other's else", [nested([put("a")]), nested([], [put("a")])]],
  ["a nested put in a range deleted above", [nested([put("b")]), remove("a", "c")]],
  ["a put in a range deleted below", [put("b"), nested([remove("a", "c")])]],
  ["a nested delete before a sibling's put", [nested([remove("a")]), nested([put("a")])]],
] as const) {
  it(`checkTxn() refuses ${what}`, () => {
    const expected = { code: "DuplicateKey", message: "etcdserver: duplicate key given in txn request" };
    assert.throws(() => check([...ops]), expected);
    assert.throws(() => check([], [...ops]), expected);
  });
}

for (const [what, ops] of [
  ["puts of different keys", [put("a"), put("b")]],
  ["deletes that overlap", [remove("a", "c"), remove("b", "d"), remove("b"), remove("b")]],
  ["a put at the end of a deleted range", [put("c"), remove("a", "c")]],
  ["a put of the key after a deleted one", [put("a\0"), remove("a")]],
  ["a put in both branches of a nested transaction", [nested([put("a")], [put("a")])]],
  ["a range over a put", [put("a"), range("a"), range("a")]],
  ["a put in a deleted range that is open to the last key, as etcd does", [put("b"), remove("a", "\0")]],
  ["a nested put in such a range", [nested([put("b")]), remove("a", "\0")]],
  ["a put before a later sibling's delete, as etcd does", [nested([put("a")]), nested([remove("a")])]],
] as const) {
  it(`checkTxn() lets ${what} pass`, () => check([...ops]));
}

it("isReadOnly() looks into both branches and nested transactions", () => {
  const readOnly = (success: RequestOp[], failure: RequestOp[] = []) =>
    isReadOnly(TxnRequest.create({ success, failure }));
  assert.equal(readOnly([]), true);
  assert.equal(readOnly([range("a")], [nested([range("a")])]), true);
  assert.equal(readOnly([range("a")], [put("a")]), false);
  assert.equal(readOnly([range("a"), nested([], [remove("a")])]), false);
});
