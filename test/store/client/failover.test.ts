import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient, type StoreClientOptions } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import { freePort } from "../../support/process.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { type RunningStore, STORES } from "./stores.ts";

const signal = AbortSignal.timeout(240_000);
const LIMITS = {
  backoffBaseMs: 5,
  backoffMaxMs: 50,
  dialTimeoutMs: 500,
  tryTimeoutMs: 400,
  callTimeoutMs: 8_000,
};

function open(endpoints: readonly string[], options: Partial<StoreClientOptions> = {}): StoreClient {
  // The first draw chooses the endpoint: the first one. Later ones are waits.
  const draws = [0];
  const random = { next: () => draws.pop() ?? 0.5, uint64: () => 0n };
  return StoreClient.create({ endpoints, limits: LIMITS, random, ...options });
}

for (const { name, start } of STORES) {
  suite(`StoreClient's failover against ${name}`, () => {
    let store: RunningStore;
    let direct: StoreClient;

    before(async () => {
      store = await start();
      direct = StoreClient.create({ endpoints: [store.endpoint] });
    });
    after(async () => {
      direct.close();
      await store[Symbol.asyncDispose]();
    });

    test("reads and writes go to the next endpoint when one refuses connections", async () => {
      using client = open([`127.0.0.1:${await freePort()}`, store.endpoint]);
      await client.put("refused", "1", { signal });
      assert.equal((await client.get("refused", { signal })).kv?.value.toString(), "1");
    });

    test("it stays with the endpoint that serves, on one connection", async () => {
      await using one = await TcpProxy.start(store.endpoint);
      await using other = await TcpProxy.start(store.endpoint);
      using client = open([one.endpoint, other.endpoint]);
      await Promise.all(Array.from({ length: 50 }, (_, i) => client.put(`stay/${i}`, "1", { signal })));
      for (let i = 0; i < 50; i++) await client.get(`stay/${i}`, { signal });
      assert.deepEqual([one.accepted, other.accepted], [1, 0]);
    });

    test("a read is asked elsewhere when there is no answer in time", async () => {
      await using silent = await TcpProxy.start(store.endpoint);
      using client = open([silent.endpoint, store.endpoint]);
      await client.put("silent", "1", { signal });
      silent.hang();
      assert.equal((await client.get("silent", { signal })).kv?.value.toString(), "1");
    });

    test("a write without an answer is not sent again, and the message says so", async () => {
      await using silent = await TcpProxy.start(store.endpoint);
      using client = open([silent.endpoint, store.endpoint]);
      await client.put("once", "before", { signal });
      silent.hang();
      await assert.rejects(client.put("once", "lost", { signal }), (error) => {
        assert.ok(error instanceof ClientError);
        assert.equal(error.code, "DeadlineExceeded");
        assert.equal(error.retryable, false);
        assert.match(error.message, /^Cannot tell whether it was carried out: put key "once" at http/);
        assert.match(error.message, /no answer in time; not sent again$/);
        return true;
      });
      const { kv } = await direct.get("once", { signal });
      assert.equal(kv?.version, 1);
    });

    test("a write goes elsewhere when the first endpoint takes connections and says nothing", async () => {
      await using silent = await TcpProxy.start(store.endpoint);
      silent.hang();
      using client = open([silent.endpoint, store.endpoint], { limits: { ...LIMITS, dialTimeoutMs: 200 } });
      await client.put("greeting", "1", { signal });
      assert.equal((await direct.get("greeting", { signal })).kv?.version, 1);
    });

    test("writes while connections are cut are carried out at most once each", async () => {
      await using proxy = await TcpProxy.start(store.endpoint);
      using client = open([proxy.endpoint]);
      let acknowledged = 0;
      let unknown = 0;
      for (let i = 0; i < 200; i++) {
        if (i % 9 === 0) setImmediate(() => proxy.cut());
        try {
          await client.put("counted", `${i}`, { signal });
          acknowledged += 1;
        } catch (error) {
          assert.ok(error instanceof ClientError && !error.retryable, `${error}`);
          unknown += 1;
        }
      }
      const version = (await direct.get("counted", { signal })).kv?.version ?? 0;
      assert.ok(version >= acknowledged, `version ${version}, ${acknowledged} acknowledged`);
      assert.ok(version <= acknowledged + unknown, `version ${version}, ${unknown} unknown`);
      assert.ok(proxy.accepted > 10, `${proxy.accepted} connections`);
    });

    test("reads go on over a killed and restarted store", async () => {
      using client = open([store.endpoint]);
      await client.put("kept", "1", { signal });
      await store.kill();
      const reading = client.get("kept", { signal });
      await store.restart();
      assert.equal((await reading).kv?.value.toString(), "1");
    });

    test("a call ends when its time is over, whatever happens", async () => {
      await using silent = await TcpProxy.start(store.endpoint);
      silent.hang();
      using client = open([silent.endpoint], {
        limits: { ...LIMITS, dialTimeoutMs: 100, callTimeoutMs: 600 },
      });
      await assert.rejects(client.get("a", { signal }), {
        code: "Unreachable",
        message: /^Cannot read key "a": no endpoint answered; tried http.* \(no connection within \d+ ms\)$/,
      });
    });
  });
}
