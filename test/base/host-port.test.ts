import assert from "node:assert/strict";
import { test } from "node:test";
import { hostPortText, splitHostPort } from "../../base/host-port.ts";

test("splitHostPort() and hostPortText() are inverses, with brackets around an IPv6 address", () => {
  for (const [text, host, port] of [
    ["[::1]:2381", "::1", 2381],
    ["0.0.0.0:0", "0.0.0.0", 0],
    ["kafka-1.example:9092", "kafka-1.example", 9092],
  ] as const) {
    assert.deepEqual(splitHostPort(text), { host, port });
    assert.equal(hostPortText({ host, port }), text);
  }
});
