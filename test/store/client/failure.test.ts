import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { failureOf, TransportTrouble } from "../../../store/client/failure.ts";

const status = (code: number, details: string) =>
  Object.assign(new Error(`${code}: ${details}`), { code, details, metadata: new Metadata() });

suite("failureOf()", () => {
  test("a request that found no connection did not leave, and may be sent again", () => {
    const details =
      "No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:1. Resolution note: ";
    const failure = failureOf(status(14, details));
    assert.deepEqual(
      [failure.code, failure.detail, failure.left, failure.transient],
      ["Unreachable", "connect ECONNREFUSED 10.0.0.1:1", false, true],
    );
  });

  test("a reason with the time in it reads the same each time", () => {
    const details =
      "No connection established. Last error: Failed to connect (2026-01-02T03:04:05.678Z). Resolution note: ";
    assert.equal(failureOf(status(14, details)).detail, "Failed to connect");
  });

  test("a connection that broke under a request leaves open what became of it", () => {
    for (const [code, details] of [
      [14, "Connection dropped"],
      [13, "Received RST_STREAM with code 2 (Internal server error)"],
      [1, "Call cancelled"],
      [4, "Deadline exceeded after 5.000s,LB pick: 0.001s,remote_addr=10.0.0.1:1"],
    ] as const) {
      const failure = failureOf(status(code, details));
      assert.deepEqual([failure.left, failure.transient, failure.answered], [true, true, false], details);
    }
  });

  test("the store's own words have codes, and say that the connection is good", () => {
    const noLeader = failureOf(status(14, "etcdserver: no leader"));
    assert.deepEqual(
      [noLeader.code, noLeader.answered, noLeader.transient, noLeader.left],
      ["NoLeader", true, true, true],
    );
    const compacted = failureOf(status(11, "etcdserver: mvcc: required revision has been compacted"));
    assert.deepEqual([compacted.code, compacted.transient], ["Compacted", false]);
  });

  test("what no code fits is Rejected, and credentials are Unauthenticated", () => {
    assert.equal(failureOf(status(7, "etcdserver: permission denied")).code, "Rejected");
    assert.equal(failureOf(status(12, "unknown service")).code, "Rejected");
    assert.equal(failureOf(status(16, "etcdserver: invalid auth token")).code, "Unauthenticated");
    assert.equal(failureOf(status(3, "etcdserver: user name is empty")).code, "Unauthenticated");
  });

  test("trouble of our own tells whether the request left", () => {
    const failure = failureOf(new TransportTrouble("no connection within 5 ms", { left: false }));
    assert.deepEqual([failure.code, failure.left, failure.transient], ["Unreachable", false, true]);
    assert.equal(failureOf(new Error("Channel has been shut down")).left, false);
  });

  test("anything else is a bug, and is thrown on", () => {
    const bug = new TypeError("x is not a function");
    assert.throws(() => failureOf(bug), bug);
  });
});
