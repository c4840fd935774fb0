import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FairBytes } from "../../../logagent/sink/fair-bytes.ts";

const signal = new AbortController().signal;
const isPaused = () => false;

/** True when `promise` has settled by now. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(
    () => {
      settled = true;
    },
    () => undefined,
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("FairBytes", () => {
  it("take() leaves room for others, however many accounts are stuck", async () => {
    const bytes = new FairBytes(1_000_000);
    for (let i = 0; i < 10; i++) {
      const stuck = bytes.newAccount();
      while (bytes.tryTake(stuck, 10_000, isPaused));
      assert.ok(stuck.heldBytes > 0);
    }
    assert.ok(bytes.heldBytes < 950_000, `${bytes.heldBytes} bytes are held`);
    await bytes.take(bytes.newAccount(), 10_000, { signal, isPaused });
  });

  it("take() lets one account have a fifth of the limit", () => {
    const bytes = new FairBytes(1_000_000);
    const account = bytes.newAccount();
    while (bytes.tryTake(account, 1_000, isPaused));
    assert.ok(account.heldBytes > 190_000 && account.heldBytes <= 200_000, `${account.heldBytes} bytes`);
  });

  it("resize() lets nothing in above the new limit, and those in that wait when it is raised", async () => {
    const bytes = new FairBytes(1_000);
    const holder = bytes.newAccount();
    await bytes.take(holder, 200, { signal, isPaused });
    bytes.resize(100);
    const waiting = bytes.take(bytes.newAccount(), 50, { signal, isPaused });
    assert.ok(!(await isSettled(waiting)));
    bytes.resize(250);
    assert.ok(await isSettled(waiting));
    assert.equal(bytes.heldBytes, 250);
  });

  it("take() passes by an account that has its share, and keeps the order within one", async () => {
    const bytes = new FairBytes(1_000);
    const busy = bytes.newAccount();
    await bytes.take(busy, 200, { signal, isPaused });
    const first = bytes.take(busy, 100, { signal, isPaused });
    const second = bytes.take(busy, 1, { signal, isPaused });
    const other = bytes.take(bytes.newAccount(), 100, { signal, isPaused });
    assert.deepEqual(await Promise.all([first, second, other].map(isSettled)), [false, false, true]);
    bytes.give(busy, 200);
    assert.deepEqual(await Promise.all([first, second].map(isSettled)), [true, true]);
  });

  it("take() of more than the limit goes alone", async () => {
    const bytes = new FairBytes(1_000);
    const a = bytes.newAccount();
    await bytes.take(a, 10, { signal, isPaused });
    const large = bytes.take(bytes.newAccount(), 5_000, { signal, isPaused });
    const behind = bytes.take(bytes.newAccount(), 1, { signal, isPaused });
    assert.deepEqual(await Promise.all([large, behind].map(isSettled)), [false, false]);
    bytes.give(a, 10);
    assert.deepEqual(await Promise.all([large, behind].map(isSettled)), [true, false]);
  });

  it("take() waits while it is paused, until wake()", async () => {
    const bytes = new FairBytes(1_000);
    let paused = true;
    const account = bytes.newAccount();
    const waiting = bytes.take(account, 10, { signal, isPaused: () => paused });
    assert.equal(await isSettled(waiting), false);
    paused = false;
    bytes.wake();
    await waiting;
    assert.equal(account.heldBytes, 10);
  });

  it("take() rejects with the signal's reason and takes nothing", async () => {
    const bytes = new FairBytes(1_000);
    const aborter = new AbortController();
    const waiting = bytes.take(bytes.newAccount(), 10, { signal: aborter.signal, isPaused: () => true });
    aborter.abort(new Error("enough"));
    await assert.rejects(waiting, { message: "enough" });
    assert.deepEqual([bytes.heldBytes, bytes.waiting], [0, 0]);
  });

  it("fail() ends every wait", async () => {
    const bytes = new FairBytes(1_000);
    const waiting = bytes.take(bytes.newAccount(), 10, { signal, isPaused: () => true });
    bytes.fail(new Error("closing"));
    await assert.rejects(waiting, { message: "closing" });
  });
});
