import assert from "node:assert/strict";
import { test } from "node:test";
import { MemBackend } from "../../../store/backend/mem-backend.ts";
import { visitBucket } from "../../../store/backend/visit-bucket.ts";

for (const [count, steps] of [
  [0, 0],
  [499, 0],
  [500, 1],
  [1_001, 2],
] as const) {
  test(`visitBucket() visits each of ${count} pairs once and in order, with ${steps} yields`, () => {
    const backend = new MemBackend();
    const keys = Array.from({ length: count }, (_, i) => Buffer.from(String(i).padStart(4, "0")));
    for (const key of keys.toReversed()) backend.put("lease", key, key);
    backend.put("alarm", Buffer.from("0000"), Buffer.from("another bucket's"));
    const visited: string[] = [];
    const yields = [...visitBucket(backend, "lease", ({ value }) => visited.push(value.toString()))];
    assert.deepEqual(visited, keys.map(String));
    assert.equal(yields.length, steps);
  });
}

test("visitBucket() goes on behind the last key that it visited, whatever is written meanwhile", () => {
  const backend = new MemBackend();
  const value = Buffer.alloc(0);
  for (let i = 0; i < 500; i += 1) backend.put("lease", Buffer.from([1, i >> 8, i & 0xff]), value);
  const visited: string[] = [];
  const visiting = visitBucket(backend, "lease", ({ key }) => visited.push(Buffer.from(key).toString("hex")));
  visiting.next();
  backend.put("lease", Buffer.from([0]), value);
  backend.put("lease", Buffer.from([1, 499 >> 8, 499 & 0xff, 0]), value);
  assert.equal(visiting.next().done, true);
  assert.deepEqual(visited.slice(500), ["0101f300"]);
});
