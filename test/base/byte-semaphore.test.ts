import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ByteSemaphore } from "../../base/byte-semaphore.ts";
import { seededRandom } from "../../base/random.ts";

const signal = new AbortController().signal;

/** Turns of the microtask queue, in which grants arrive. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
}

suite("ByteSemaphore", () => {
  test("acquire() takes what fits and waits for what does not", async () => {
    const semaphore = new ByteSemaphore(100);
    await semaphore.acquire(60, { signal });
    let granted = false;
    const waiting = semaphore.acquire(50, { signal }).then(() => {
      granted = true;
    });
    await settle();
    assert.deepEqual([granted, semaphore.heldBytes, semaphore.waiting], [false, 60, 1]);
    semaphore.release(10);
    await waiting;
    assert.deepEqual([granted, semaphore.heldBytes, semaphore.waiting], [true, 100, 0]);
  });

  test("acquire() serves first come first: a small request does not overtake a large one", async () => {
    const semaphore = new ByteSemaphore(100);
    await semaphore.acquire(90, { signal });
    const order: string[] = [];
    const large = semaphore.acquire(80, { signal }).then(() => order.push("large"));
    const small = semaphore.acquire(5, { signal }).then(() => order.push("small"));
    assert.equal(semaphore.tryAcquire(5), false, "nor does one that does not wait");
    await settle();
    assert.deepEqual(order, []);
    semaphore.release(90);
    await Promise.all([large, small]);
    assert.deepEqual(order, ["large", "small"]);
  });

  test("acquire() lets a request above the whole limit through, alone", async () => {
    const semaphore = new ByteSemaphore(100);
    await semaphore.acquire(1, { signal });
    const huge = semaphore.acquire(1000, { signal });
    semaphore.release(1);
    await huge;
    assert.equal(semaphore.tryAcquire(1), false);
    semaphore.release(1000);
    assert.equal(semaphore.tryAcquire(100), true);
  });

  test("acquire() rejects with the signal's reason and takes nothing, waiting or not", async () => {
    const semaphore = new ByteSemaphore(100);
    const reason = new Error("stop");
    await assert.rejects(semaphore.acquire(1, { signal: AbortSignal.abort(reason) }), reason);
    assert.equal(semaphore.heldBytes, 0);
    await semaphore.acquire(90, { signal });
    const controller = new AbortController();
    const waiting = semaphore.acquire(50, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    assert.deepEqual([semaphore.heldBytes, semaphore.waiting], [90, 0]);
  });

  test("acquire() wakes who waits behind a request that is given up", async () => {
    const semaphore = new ByteSemaphore(100);
    await semaphore.acquire(90, { signal });
    const controller = new AbortController();
    const first = semaphore.acquire(50, { signal: controller.signal });
    const second = semaphore.acquire(10, { signal });
    controller.abort(new Error("stop"));
    await assert.rejects(first);
    await second;
    assert.equal(semaphore.heldBytes, 100);
  });

  test("acquire() that was granted is not taken back by its signal", async () => {
    const semaphore = new ByteSemaphore(100);
    const controller = new AbortController();
    await semaphore.acquire(100, { signal });
    const waiting = semaphore.acquire(10, { signal: controller.signal });
    semaphore.release(100);
    controller.abort(new Error("late"));
    await waiting;
    assert.equal(semaphore.heldBytes, 10);
  });

  test("release() trips over more than is held", () => {
    const semaphore = new ByteSemaphore(100);
    assert.equal(semaphore.tryAcquire(10), true);
    assert.throws(() => semaphore.release(11), /released 11 bytes more than were held/);
  });

  test("holds its limit and loses nobody under random use", async () => {
    const random = seededRandom(42);
    const semaphore = new ByteSemaphore(1000);
    let served = 0;
    const user = async () => {
      for (let i = 0; i < 50; i += 1) {
        const bytes = 1 + Math.floor(random.next() * 700);
        await semaphore.acquire(bytes, { signal });
        assert.ok(semaphore.heldBytes <= 1000, `${semaphore.heldBytes} held`);
        if (random.next() < 0.5) await settle();
        semaphore.release(bytes);
        served += 1;
      }
    };
    await Promise.all(Array.from({ length: 20 }, user));
    assert.deepEqual([served, semaphore.heldBytes, semaphore.waiting], [1000, 0, 0]);
  });

  test("resize() gives out what fits now, takes nothing back, and nothing is given out at 0", async () => {
    const semaphore = new ByteSemaphore(100);
    await semaphore.acquire(80, { signal });
    semaphore.resize(50);
    assert.equal(semaphore.heldBytes, 80);
    let granted = 0;
    const waiting = [30, 200].map((bytes) => semaphore.acquire(bytes, { signal }).then(() => granted++));
    semaphore.resize(0);
    semaphore.release(80);
    await settle();
    assert.deepEqual([granted, semaphore.heldBytes, semaphore.tryAcquire(1)], [0, 0, false]);
    semaphore.resize(50);
    await waiting[0];
    assert.deepEqual([granted, semaphore.heldBytes], [1, 30]);
    semaphore.release(30);
    await waiting[1];
    assert.deepEqual([granted, semaphore.heldBytes], [2, 200]);
  });
});
