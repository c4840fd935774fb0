import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../../store/client/client.ts";
import { LeaseKeeper, type LeaseState } from "../../../store/client/lease-keeper.ts";
import { eventually } from "../../support/process.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { type RunningStore, STORES } from "./stores.ts";

const signal = AbortSignal.timeout(240_000);
const LIMITS = { backoffBaseMs: 10, backoffMaxMs: 100, dialTimeoutMs: 500, tryTimeoutMs: 1_000 };

for (const { name, start } of STORES) {
  suite(`LeaseKeeper against ${name}`, () => {
    let store: RunningStore;
    let client: StoreClient;

    before(async () => {
      store = await start();
      client = StoreClient.create({ endpoints: [store.endpoint], limits: LIMITS });
    });
    after(async () => {
      client.close();
      await store[Symbol.asyncDispose]();
    });

    test("keeps a lease beyond its TTL, and revokes it when it is closed", async () => {
      const states: LeaseState[] = [];
      const keeper = LeaseKeeper.start({ client, ttlSeconds: 2, onState: (state) => states.push(state) });
      const id = await keeper.held({ signal });
      await client.put("alive", "1", { lease: id, signal });
      const grantedAtMs = performance.now();
      await eventually(
        async () => {
          assert.equal((await client.get("alive", { signal })).kv?.lease, id);
          assert.ok(performance.now() - grantedAtMs > 2_500);
        },
        { intervalMs: 200 },
      );
      assert.deepEqual(states, [{ kind: "held", id, ttlSeconds: 2 }]);
      await keeper.close({ signal });
      assert.equal(keeper.id, undefined);
      assert.equal((await client.get("alive", { signal })).kv, undefined);
      await keeper.close({ signal });
      await assert.rejects(keeper.held({ signal }), /closed/);
    });

    test("tells when the lease is gone, and grants another one", async () => {
      const states: LeaseState[] = [];
      await using keeper = LeaseKeeper.start({
        client,
        ttlSeconds: 2,
        onState: (state) => states.push(state),
      });
      const first = await keeper.held({ signal });
      await client.leaseRevoke(first, { signal });
      const second = await eventually(() => {
        assert.ok(keeper.id !== undefined && keeper.id !== first);
        return keeper.id;
      });
      assert.deepEqual(
        states.map((state) => [state.kind, state.id]),
        [
          ["held", first],
          ["lost", first],
          ["held", second],
        ],
      );
      assert.equal((await client.leaseTimeToLive(second, { signal })).grantedTtlSeconds, 2);
    });

    test("reportLost() grants another one at once", async () => {
      await using keeper = LeaseKeeper.start({ client, ttlSeconds: 3_600 });
      const first = await keeper.held({ signal });
      await client.leaseRevoke(first, { signal });
      keeper.reportLost(first);
      const second = await eventually(() => {
        assert.ok(keeper.id !== undefined && keeper.id !== first);
        return keeper.id;
      });
      keeper.reportLost(first);
      assert.equal(await keeper.held({ signal }), second);
    });

    test("keeps the lease over cut connections and a killed store", async () => {
      await using proxy = await TcpProxy.start(store.endpoint);
      using cut = StoreClient.create({ endpoints: [proxy.endpoint], limits: LIMITS });
      const states: LeaseState[] = [];
      await using keeper = LeaseKeeper.start({
        client: cut,
        ttlSeconds: 4,
        onState: (state) => states.push(state),
      });
      const id = await keeper.held({ signal });
      proxy.cut();
      await store.kill();
      await store.restart();
      const renewedAtMs = performance.now();
      await eventually(
        async () => {
          assert.ok(performance.now() - renewedAtMs > 4_500);
          assert.ok((await client.leaseTimeToLive(id, { signal })).ttlSeconds >= 0);
        },
        { intervalMs: 500, timeoutMs: 20_000 },
      );
      assert.deepEqual(
        states.map((state) => state.kind),
        ["held"],
      );
    });

    test("waits for a store that is not there yet, and tells of it", async () => {
      await using proxy = await TcpProxy.start(store.endpoint);
      proxy.cut({ refuse: true });
      using away = StoreClient.create({
        endpoints: [proxy.endpoint],
        limits: { ...LIMITS, callTimeoutMs: 200 },
      });
      const troubles: string[] = [];
      await using keeper = LeaseKeeper.start({
        client: away,
        ttlSeconds: 60,
        onTrouble: (message) => troubles.push(message),
      });
      await eventually(() => assert.ok(troubles.length > 0));
      assert.match(troubles[0] ?? "", /^Cannot grant a lease of 60 s: no endpoint answered/);
      await assert.rejects(keeper.held({ signal: AbortSignal.abort(new Error("enough")) }), /enough/);
      proxy.heal();
      assert.ok((await keeper.held({ signal })) > 0n);
    });
  });
}
