import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../../store/client/client.ts";
import type { ConnectionState, WatchItem, WatchOptions } from "../../../store/client/types.ts";
import { startEtcd } from "../../support/etcd.ts";
import { freePort } from "../../support/process.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { type RunningStore, STORES } from "./stores.ts";

const signal = AbortSignal.timeout(240_000);
const LIMITS = { backoffBaseMs: 10, backoffMaxMs: 100, dialTimeoutMs: 500, tryTimeoutMs: 2_000 };

/** A watch whose items wait until they are asked for. */
function follow(client: StoreClient, options: Omit<WatchOptions, "signal">) {
  const watch = client.watch({ ...options, signal })[Symbol.asyncIterator]();
  const next = async (): Promise<WatchItem> => {
    const { value, done } = await watch.next();
    assert.ok(done !== true, "the watch ended");
    return value;
  };
  const events = async (count: number): Promise<string[]> => {
    const seen: string[] = [];
    while (seen.length < count) {
      const item = await next();
      if (item.kind !== "events") continue;
      seen.push(...item.events.map((event) => `${event.type} ${event.kv.key} ${event.kv.value}`));
    }
    return seen;
  };
  return { next, events, end: () => watch.return?.() };
}

for (const { name, start } of STORES) {
  suite(`StoreClient.watch() against ${name}`, () => {
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

    test("tells that it was created, then what happens, with what was there before", async () => {
      const watch = follow(direct, { key: "w/", prefix: true, prevKv: true });
      const created = await watch.next();
      assert.equal(created.kind, "created");
      const { header } = await direct.put("w/1", "one", { signal });
      await direct.put("elsewhere", "x", { signal });
      await direct.put("w/1", "two", { signal });
      await direct.delete("w/1", { signal });
      const items = [await watch.next(), await watch.next(), await watch.next()];
      const events = items.flatMap((item) => (item.kind === "events" ? item.events : []));
      assert.deepEqual(
        events.map((event) => [event.type, event.kv.modRevision - header.revision, `${event.prevKv?.value}`]),
        [
          ["put", 0, "undefined"],
          ["put", 2, "one"],
          ["delete", 3, "two"],
        ],
      );
      await watch.end();
    });

    test("begins at an older revision, and leaves out what is filtered", async () => {
      const { header } = await direct.put("f/1", "one", { signal });
      await direct.delete("f/1", { signal });
      await direct.put("f/2", "two", { signal });
      const all = follow(direct, { key: "f/", prefix: true, startRevision: header.revision });
      assert.deepEqual(await all.events(3), ["put f/1 one", "delete f/1 ", "put f/2 two"]);
      await all.end();
      const puts = {
        key: "f/",
        prefix: true,
        startRevision: header.revision,
        filters: ["nodelete"] as const,
      };
      const filtered = follow(direct, puts);
      assert.deepEqual(await filtered.events(2), ["put f/1 one", "put f/2 two"]);
      await filtered.end();
    });

    test("resumes after a cut at the next revision: nothing twice, nothing missing", async () => {
      await using proxy = await TcpProxy.start(store.endpoint);
      using client = StoreClient.create({ endpoints: [proxy.endpoint], limits: LIMITS });
      const watch = follow(client, { key: "cut/", prefix: true });
      assert.equal((await watch.next()).kind, "created");
      const expected: string[] = [];
      const seen: string[] = [];
      const write = async (count: number) => {
        for (let i = 0; i < count; i++) {
          const [key, value] = [`cut/${expected.length % 7}`, `${expected.length}`];
          expected.push(`put ${key} ${value}`);
          await direct.put(key, value, { signal });
        }
      };
      for (let round = 0; round < 6; round++) {
        await write(20);
        seen.push(...(await watch.events(1)));
        proxy.cut();
        await write(20);
        seen.push(...(await watch.events(expected.length - seen.length)));
      }
      assert.deepEqual(seen, expected);
      assert.ok(proxy.accepted >= 7, `the connection was cut, and made again ${proxy.accepted} times`);
      await watch.end();
    });

    test("goes on over a killed store, with what was written after the restart", async () => {
      using client = StoreClient.create({ endpoints: [store.endpoint], limits: LIMITS });
      const watch = follow(client, { key: "kill/", prefix: true });
      assert.equal((await watch.next()).kind, "created");
      await direct.put("kill/1", "before", { signal });
      assert.deepEqual(await watch.events(1), ["put kill/1 before"]);
      await store.kill();
      const waiting = watch.events(2);
      await store.restart();
      await direct.put("kill/1", "after", { signal });
      await direct.put("kill/2", "too", { signal });
      assert.deepEqual(await waiting, ["put kill/1 after", "put kill/2 too"]);
      await watch.end();
    });

    test("goes to another endpoint when its own stops answering without a word", async () => {
      await using silent = await TcpProxy.start(store.endpoint);
      await using good = await TcpProxy.start(store.endpoint);
      const states: ConnectionState[] = [];
      using client = StoreClient.create({
        endpoints: [silent.endpoint, good.endpoint],
        // The first draw chooses the endpoint.
        random: { next: () => 0, uint64: () => 0n },
        limits: { ...LIMITS, keepAliveTimeMs: 300, keepAliveTimeoutMs: 300 },
        onConnectionState: (state) => states.push(state),
      });
      const watch = follow(client, { key: "silent/", prefix: true });
      assert.equal((await watch.next()).kind, "created");
      silent.hang();
      const waiting = watch.events(1);
      await direct.put("silent/1", "one", { signal });
      assert.deepEqual(await waiting, ["put silent/1 one"]);
      assert.equal(good.accepted, 1);
      const told = states.map((state) => `${state.kind} ${state.endpoint}`);
      assert.deepEqual(told, [
        `connected ${silent.endpoint}`,
        `disconnected ${silent.endpoint}`,
        `connected ${good.endpoint}`,
      ]);
      await watch.end();
    });

    test("reports a compaction that happened while it was away, and ends", async () => {
      await using proxy = await TcpProxy.start(store.endpoint);
      using client = StoreClient.create({ endpoints: [proxy.endpoint], limits: LIMITS });
      const watch = follow(client, { key: "gone/", prefix: true });
      assert.equal((await watch.next()).kind, "created");
      const waiting = watch.next();
      proxy.cut({ refuse: true });
      for (let i = 0; i < 5; i++) await direct.put("gone/1", `${i}`, { signal });
      const { header } = await direct.put("gone/2", "last", { signal });
      await direct.compact(header.revision, { signal });
      proxy.heal();
      const item = await waiting;
      assert.equal(item.kind, "compacted");
      assert.equal(item.kind === "compacted" && item.compactRevision, header.revision);
      await assert.rejects(watch.next(), /the watch ended/);
    });

    test("tells progress, when asked to", async () => {
      await using own = await start(["--watch-progress-notify-interval=100ms"]);
      using client = StoreClient.create({ endpoints: [own.endpoint] });
      const watch = follow(client, { key: "p", progressNotify: true });
      assert.equal((await watch.next()).kind, "created");
      const { header } = await client.put("q", "1", { signal });
      for (;;) {
        const item = await watch.next();
        assert.equal(item.kind, "progress");
        if (item.kind === "progress" && item.revision === header.revision) break;
      }
      await watch.end();
    });

    test("gives a transaction as one item, also one larger than a message of the store", async () => {
      const watch = follow(direct, { key: "txn/", prefix: true });
      assert.equal((await watch.next()).kind, "created");
      const value = Buffer.alloc(9_000, "x");
      const { header } = await direct.txn(
        { success: Array.from({ length: 120 }, (_, i) => ({ kind: "put", key: `txn/${i}`, value })) },
        { signal },
      );
      const item = await watch.next();
      assert.ok(item.kind === "events");
      assert.equal(item.events.length, 120);
      assert.equal(item.revision, header.revision);
      await watch.end();
    });

    test("history larger than one message comes in whole revisions", async () => {
      const value = Buffer.alloc(150_000, "x");
      const operations = Array.from({ length: 9 }, (_, i) => ({
        kind: "put" as const,
        key: `h/${i}`,
        value,
      }));
      const { header } = await direct.txn({ success: operations }, { signal });
      for (let i = 0; i < 5; i++) await direct.txn({ success: operations }, { signal });
      const watch = follow(direct, { key: "h/", prefix: true, startRevision: header.revision });
      const counts = new Map<number, number>();
      while (counts.size < 6) {
        const item = await watch.next();
        if (item.kind !== "events") continue;
        const own = new Set(item.events.map((event) => event.kv.modRevision));
        for (const revision of own) {
          assert.ok(!counts.has(revision), `revision ${revision} came in one item`);
          counts.set(revision, item.events.filter((event) => event.kv.modRevision === revision).length);
        }
      }
      assert.deepEqual([...counts.values()], [9, 9, 9, 9, 9, 9]);
      await watch.end();
    });

    test("ends with the signal's reason, and with the client", async () => {
      const stopping = new AbortController();
      const reason = new Error("enough");
      const watch = direct.watch({ key: "a", signal: stopping.signal })[Symbol.asyncIterator]();
      await watch.next();
      const waiting = watch.next();
      stopping.abort(reason);
      await assert.rejects(Promise.resolve(waiting), reason);
      const client = StoreClient.create({ endpoints: [store.endpoint] });
      const other = client.watch({ key: "a", signal })[Symbol.asyncIterator]();
      await other.next();
      const ending = other.next();
      client.close();
      await assert.rejects(Promise.resolve(ending), /it was closed/);
    });
  });
}

suite("StoreClient.watch()", () => {
  test("takes a store with another history for a compaction", async () => {
    await using first = await startEtcd();
    await using second = await startEtcd();
    await using proxy = await TcpProxy.start(first.endpoint);
    using client = StoreClient.create({ endpoints: [proxy.endpoint], limits: LIMITS });
    for (let i = 0; i < 5; i++) await client.put("a", `${i}`, { signal });
    const watch = follow(client, { key: "a" });
    assert.equal((await watch.next()).kind, "created");
    proxy.target = second.endpoint;
    proxy.cut();
    const item = await watch.next();
    assert.deepEqual([item.kind, item.header.revision], ["compacted", 1]);
  });

  test("keeps trying while there is no store, with few connections", async () => {
    const port = await freePort();
    using client = StoreClient.create({ endpoints: [`127.0.0.1:${port}`], limits: LIMITS });
    const told: string[] = [];
    using observed = StoreClient.create({
      endpoints: [`127.0.0.1:${port}`],
      limits: LIMITS,
      onConnectionState: (state) => told.push(state.kind === "disconnected" ? state.reason : state.kind),
    });
    const stopping = AbortSignal.timeout(1_000);
    await assert.rejects(client.get("a", { signal: stopping }));
    const watch = observed.watch({ key: "a", signal: AbortSignal.timeout(500) })[Symbol.asyncIterator]();
    await assert.rejects(Promise.resolve(watch.next()), { name: "TimeoutError" });
    assert.deepEqual(told, [`connect ECONNREFUSED 127.0.0.1:${port}`]);
  });
});
