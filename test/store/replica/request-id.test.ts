import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createRequestIds } from "../../../store/replica/request-id.ts";
import { ManualClock } from "../../support/manual-clock.ts";

suite("createRequestIds()", () => {
  test("lays out member, time and counter as etcd does", () => {
    const next = createRequestIds(0xdead_beef_1234n, new ManualClock(0x12_3456_789a));
    assert.equal(next().toString(16), "1234123456789a01");
    assert.equal(next().toString(16), "1234123456789a02");
  });

  test("keeps to 64 bits when the counter carries over, and the member's part stays", () => {
    const next = createRequestIds(0xffffn, new ManualClock(2 ** 40 - 1));
    const ids = Array.from({ length: 300 }, next);
    assert.ok(ids.every((id) => id >> 48n === 0xffffn));
    assert.equal(new Set(ids).size, 300);
  });

  test("does not repeat ids of another member or of an earlier run", () => {
    const clock = new ManualClock();
    const ids = new Set<bigint>();
    for (const member of [1n, 2n]) {
      for (let run = 0; run < 5; run += 1) {
        const next = createRequestIds(member, clock);
        for (let i = 0; i < 1000; i += 1) ids.add(next());
        clock.advance(1000);
      }
    }
    assert.equal(ids.size, 10_000);
  });
});
