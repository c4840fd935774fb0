import assert from "node:assert/strict";
import { test } from "node:test";
import { keyRange, prefixEnd, toBuffer } from "../../../store/client/key-range.ts";

test("prefixEnd() is the first key after all that start with the prefix", () => {
  assert.deepEqual(prefixEnd(Buffer.from("abc")), Buffer.from("abd"));
  assert.deepEqual(prefixEnd(Buffer.from([0x61, 0xff, 0xff])), Buffer.from([0x62]));
  assert.deepEqual(prefixEnd(Buffer.from([0xff, 0xff])), Buffer.from([0]));
});

test("prefixEnd() leaves the prefix as it is", () => {
  const prefix = Buffer.from("abc");
  prefixEnd(prefix);
  assert.equal(prefix.toString(), "abc");
});

test("keyRange() turns an empty key into every key", () => {
  const all = { key: Buffer.from([0]), rangeEnd: Buffer.from([0]) };
  assert.deepEqual(keyRange("", { prefix: true }), all);
  assert.deepEqual(keyRange("", { fromKey: true }), all);
  assert.deepEqual(keyRange("", {}), { key: Buffer.alloc(0), rangeEnd: Buffer.alloc(0) });
});

test("keyRange() takes a start, or both ends", () => {
  assert.deepEqual(keyRange("b", { fromKey: true }), { key: Buffer.from("b"), rangeEnd: Buffer.from([0]) });
  assert.deepEqual(keyRange("b", { rangeEnd: "d" }), { key: Buffer.from("b"), rangeEnd: Buffer.from("d") });
});

test("toBuffer() is a view of the same bytes", () => {
  const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  const buffer = toBuffer(bytes);
  bytes[0] = 9;
  assert.deepEqual([...buffer], [9, 3]);
});
