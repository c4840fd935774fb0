import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../base/random.ts";
import { PutRequest, PutResponse, RangeRequest, RangeResponse } from "../../store/proto/gen/rpc.ts";
import { freePort, temporaryFolder } from "../support/process.ts";
import { startLogstore } from "./logstore.ts";
import { RawClient } from "./raw-client.ts";

const ROUNDS = 10;
const WRITERS = 32;
const END_OF_PREFIX = Buffer.from("put0");

test("logstore keeps every acknowledged put over ten kill -9 at random moments", async (t) => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const folder = temporaryFolder("kill");
  const port = await freePort();
  const acknowledged = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const { endpoint, process: store } = await startLogstore({ folder, port });
    using client = new RawClient(endpoint);
    await assertKept(client, acknowledged);
    const before = acknowledged.size;
    const killed = new AbortController();
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      write(client, `put/${round}/${writer}`, acknowledged, killed.signal),
    );
    // On a machine that has much to do the first answer takes its time.
    while (acknowledged.size === before) await sleep(10, undefined, { signal: t.signal });
    await sleep(random.next() * 700);
    await store.kill();
    killed.abort();
    await Promise.all(writers);
  }
  await using last = await startLogstore({ folder, port });
  using client = new RawClient(last.endpoint);
  await assertKept(client, acknowledged);
  t.diagnostic(`${acknowledged.size} acknowledged puts`);
});

/** Puts one key after another until the store is gone. A put without an answer may be there or not. */
async function write(
  client: RawClient,
  prefix: string,
  acknowledged: Map<string, number>,
  signal: AbortSignal,
): Promise<void> {
  for (let number = 0; !signal.aborted; number += 1) {
    const key = `${prefix}/${number}`;
    try {
      const request = { key: Buffer.from(key), value: Buffer.from(key) };
      const { header } = await client.call("KV/Put", [PutRequest, PutResponse], request, 2_000);
      acknowledged.set(key, header?.revision ?? 0);
    } catch {
      // The store was killed, or is about to be.
      return;
    }
  }
}

async function assertKept(client: RawClient, acknowledged: ReadonlyMap<string, number>): Promise<void> {
  const request = { key: Buffer.from("put/"), rangeEnd: END_OF_PREFIX };
  const { kvs } = await client.call("KV/Range", [RangeRequest, RangeResponse], request, 20_000);
  const kept = new Map(kvs.map((kv) => [String(kv.key), kv]));
  for (const [key, revision] of acknowledged) {
    const kv = kept.get(key);
    assert.ok(kv, `acknowledged put ${key} is gone`);
    assert.equal(String(kv.value), key);
    assert.equal(kv.modRevision, revision, `revision of ${key}`);
  }
}
