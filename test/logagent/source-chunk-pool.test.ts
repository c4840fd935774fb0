import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ChunkPool, LARGE_CHUNK_BYTES, SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";

const signal = new AbortController().signal;

suite("ChunkPool", () => {
  test("acquire() gives at least what is asked for, and the same chunk again after release()", async () => {
    const pool = new ChunkPool();
    const small = await pool.acquire(10, { signal });
    assert.equal(small.bytes.byteLength, SMALL_CHUNK_BYTES);
    const large = await pool.acquire(SMALL_CHUNK_BYTES + 1, { signal });
    assert.equal(large.bytes.byteLength, LARGE_CHUNK_BYTES);
    const huge = await pool.acquire(LARGE_CHUNK_BYTES + 1, { signal });
    assert.equal(huge.bytes.byteLength, 2 * LARGE_CHUNK_BYTES);
    pool.release(small);
    assert.equal(await pool.acquire(SMALL_CHUNK_BYTES, { signal }), small);
    for (const chunk of [small, large, huge]) pool.release(chunk);
    assert.equal(pool.heldBytes, 0);
  });

  test("acquire() waits for room, first come, first served, and can be given up", async () => {
    const pool = new ChunkPool(2 * SMALL_CHUNK_BYTES);
    const held = await Promise.all([1, 2].map(() => pool.acquire(1, { signal })));
    const order: number[] = [];
    const waiting = [0, 1].map((i) =>
      pool.acquire(1, { signal }).then((chunk) => {
        order.push(i);
        return chunk;
      }),
    );
    const givenUp = new AbortController();
    const refused = pool.acquire(1, { signal: givenUp.signal });
    assert.equal(pool.waiting, 3);
    givenUp.abort(new Error("enough"));
    await assert.rejects(refused, /enough/);
    for (const chunk of held) pool.release(chunk);
    for (const chunk of await Promise.all(waiting)) pool.release(chunk);
    assert.deepEqual(order, [0, 1]);
    assert.equal(pool.heldBytes, 0);
  });

  test("resize() gives nobody a chunk at 0, whoever has one keeps it, and those that wait go on when there is room", async () => {
    const pool = new ChunkPool(2 * LARGE_CHUNK_BYTES);
    const held = await pool.acquire(LARGE_CHUNK_BYTES, { signal });
    pool.resize(0);
    let isGiven = false;
    const waiting = pool.acquire(1, { signal }).then((chunk) => {
      isGiven = true;
      return chunk;
    });
    pool.release(held);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([isGiven, pool.heldBytes, pool.waiting], [false, 0, 1]);
    pool.resize(SMALL_CHUNK_BYTES);
    pool.release(await waiting);
    assert.notEqual(await pool.acquire(LARGE_CHUNK_BYTES, { signal }), held, "spares were given back");
  });
});
