import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SharedPromise } from "../../base/shared-promise.ts";

function newShared(outcomes: readonly (number | Error)[]) {
  let begun = 0;
  const shared = new SharedPromise(async () => {
    const outcome = outcomes[begun++] as number | Error;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
  return { shared, begun: () => begun };
}

suite("SharedPromise", () => {
  test("get() begins once for all who ask", async () => {
    const { shared, begun } = newShared([1, 2]);
    assert.deepEqual(await Promise.all([shared.get(), shared.get()]), [1, 1]);
    assert.equal(await shared.get(), 1);
    assert.equal(begun(), 1);
  });

  test("get() tells all who wait of a failure, and begins anew for the next", async () => {
    const { shared, begun } = newShared([new Error("no"), 2]);
    const both = [shared.get(), shared.get()];
    for (const promise of both) await assert.rejects(promise, { message: "no" });
    assert.equal(await shared.get(), 2);
    assert.equal(begun(), 2);
  });

  test("forget() of one that is not shared any more keeps its successor", async () => {
    const { shared, begun } = newShared([1, 2]);
    const first = shared.get();
    assert.equal(shared.forget(first), true);
    assert.equal(await shared.get(), 2);
    assert.equal(shared.forget(first), false);
    assert.equal(await shared.get(), 2);
    assert.equal(begun(), 2);
  });

  test("take() leaves nothing behind", async () => {
    const { shared } = newShared([1, 2]);
    assert.equal(shared.take(), undefined);
    await shared.get();
    assert.equal(await shared.take(), 1);
    assert.equal(await shared.get(), 2);
  });
});
