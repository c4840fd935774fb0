import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, memberId } from "../../../store/server/member.ts";

test("memberId() and clusterId() of etcd's default flags are etcd's well-known ids", () => {
  const id = memberId(["http://localhost:2380"], "etcd-cluster");
  assert.equal(id.toString(16), "8e9e05c52164694d");
  assert.equal(clusterId([id]).toString(16), "cdf818194e3a8c32");
});

test("memberId() and clusterId() do not depend on the order they are given in", () => {
  const urls = ["http://a:1", "http://b:2"];
  assert.equal(memberId(urls, "t"), memberId(urls.toReversed(), "t"));
  assert.equal(clusterId([1n, 2n]), clusterId([2n, 1n]));
  assert.notEqual(memberId(urls, "t"), memberId(urls, "u"));
});
