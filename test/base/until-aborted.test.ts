import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { suite, test } from "node:test";
import { untilAborted } from "../../base/until-aborted.ts";

suite("untilAborted()", () => {
  test("gives what the promise gives, or throws what it throws, and leaves no listener", async () => {
    const { signal } = new AbortController();
    assert.equal(await untilAborted(Promise.resolve(7), { signal }), 7);
    await assert.rejects(untilAborted(Promise.reject(new Error("no")), { signal }), /no/);
    assert.deepEqual(getEventListeners(signal, "abort"), []);
  });

  test("rejects with the signal's reason, also when it came before", async () => {
    const stopping = new AbortController();
    const never = new Promise<void>(() => undefined);
    const waiting = untilAborted(never, stopping);
    stopping.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    await assert.rejects(untilAborted(never, stopping), /enough/);
  });
});
