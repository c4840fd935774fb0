import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterId, memberId } from "../../../store/membership/member-id.ts";

test("memberId() and clusterId() give what etcd gives to the same flags", () => {
  // etcd --name default, everything else default: the ids of every single-member etcd in the world.
  const id = memberId(["http://localhost:2380"], "etcd-cluster");
  assert.equal(id.toString(16), "8e9e05c52164694d");
  assert.equal(clusterId([id]).toString(16), "cdf818194e3a8c32");
});

test("memberId() does not depend on the order of the URLs, and clusterId() not on that of the ids", () => {
  const urls = ["http://b:1", "http://a:1"];
  assert.equal(memberId(urls, "t"), memberId([...urls].reverse(), "t"));
  assert.notEqual(memberId(urls, "t"), memberId(urls, "u"));
  assert.notEqual(memberId(urls, ""), memberId(urls, "", 1_700_000_000));
  assert.equal(memberId(urls, "", 17), memberId(urls, "17"));
  assert.equal(clusterId([1n, 2n ** 63n]), clusterId([2n ** 63n, 1n]));
});
