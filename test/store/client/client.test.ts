import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import { type RunningStore, STORES } from "./stores.ts";

const signal = AbortSignal.timeout(120_000);

for (const { name, start } of STORES) {
  suite(`StoreClient against ${name}`, () => {
    let store: RunningStore;
    let client: StoreClient;

    before(async () => {
      store = await start();
      client = StoreClient.create({ endpoints: [store.endpoint] });
    });
    after(async () => {
      client.close();
      await store[Symbol.asyncDispose]();
    });

    test("put() and get() keep bytes as they are, and tell revisions", async () => {
      const key = Buffer.from("bytes/\u0000\u00ff");
      const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const first = await client.put(key, "one", { signal });
      const second = await client.put(key, value, { signal, prevKv: true });
      assert.equal(second.header.revision, first.header.revision + 1);
      assert.equal(second.prevKv?.value.toString(), "one");
      const { kv, header } = await client.get(key, { signal });
      assert.deepEqual(kv?.value, value);
      assert.deepEqual(kv?.key, key);
      assert.equal(kv?.createRevision, first.header.revision);
      assert.equal(kv?.modRevision, second.header.revision);
      assert.equal(kv?.version, 2);
      assert.equal(kv?.lease, 0n);
      assert.equal(header.revision, second.header.revision);
    });

    test("get() of a key that is not there gives the revision and no value", async () => {
      const { kv, header } = await client.get("nobody", { signal });
      assert.equal(kv, undefined);
      assert.ok(header.revision >= 1);
      assert.ok(header.clusterId !== 0n && header.memberId !== 0n);
    });

    test("get() reads as of an older revision", async () => {
      const { header } = await client.put("old", "first", { signal });
      await client.put("old", "second", { signal });
      const { kv } = await client.get("old", { revision: header.revision, signal });
      assert.equal(kv?.value.toString(), "first");
    });

    test("range() takes prefix, start, end, limit, order and what to leave out", async () => {
      for (const key of ["r/a", "r/b", "r/c", "r0"]) await client.put(key, `value of ${key}`, { signal });
      const keys = async (key: string, options: object) => {
        const result = await client.range(key, { signal, ...options });
        return result.kvs.map((kv) => kv.key.toString());
      };
      assert.deepEqual(await keys("r/", { prefix: true }), ["r/a", "r/b", "r/c"]);
      assert.deepEqual(await keys("r/b", { rangeEnd: "r0" }), ["r/b", "r/c"]);
      assert.deepEqual(await keys("r/", { prefix: true, sortOrder: "descend" }), ["r/c", "r/b", "r/a"]);
      assert.deepEqual((await keys("r/c", { fromKey: true })).slice(0, 2), ["r/c", "r0"]);
      const limited = await client.range("r/", { prefix: true, limit: 2, keysOnly: true, signal });
      assert.equal(limited.more, true);
      assert.equal(limited.count, 3);
      assert.deepEqual(
        limited.kvs.map((kv) => kv.value.length),
        [0, 0],
      );
      const counted = await client.range("r/", { prefix: true, countOnly: true, signal });
      assert.equal(counted.count, 3);
      assert.equal(counted.kvs.length, 0);
      const everything = await client.range("", { prefix: true, countOnly: true, signal });
      assert.ok(everything.count >= 4);
    });

    test("delete() counts, and gives what was there when asked", async () => {
      await client.put("d/1", "one", { signal });
      await client.put("d/2", "two", { signal });
      const result = await client.delete("d/", { prefix: true, prevKv: true, signal });
      assert.equal(result.deleted, 2);
      assert.deepEqual(
        result.prevKvs.map((kv) => kv.value.toString()),
        ["one", "two"],
      );
      assert.equal((await client.delete("d/", { prefix: true, signal })).deleted, 0);
    });

    test("txn() runs the branch that the compares choose, also one inside another", async () => {
      await client.put("t/1", "one", { signal });
      const result = await client.txn(
        {
          compare: [
            { key: "t/1", target: "value", result: "=", operand: "one" },
            { key: "t/none", target: "version", result: "=", operand: 0 },
            { key: "t/1", target: "lease", result: "=", operand: 0n },
          ],
          success: [
            { kind: "put", key: "t/2", value: "two", prevKv: true },
            { kind: "range", key: "t/1" },
            {
              kind: "txn",
              compare: [{ key: "t/1", target: "mod", result: "<", operand: 0 }],
              failure: [{ kind: "delete", key: "t/1" }],
            },
          ],
          failure: [{ kind: "delete", key: "t/", prefix: true }],
        },
        { signal },
      );
      assert.equal(result.succeeded, true);
      const [put, range, txn] = result.responses;
      assert.ok(put?.kind === "put" && put.prevKv === undefined);
      assert.ok(range?.kind === "range" && range.kvs[0]?.value.toString() === "one");
      assert.ok(txn?.kind === "txn" && !txn.succeeded && txn.responses[0]?.kind === "delete");
      assert.equal((await client.get("t/1", { signal })).kv, undefined);
    });

    test("leaseGrant(), leaseTimeToLive(), leaseKeepAlive(), leases() and leaseRevoke() tell of a lease", async () => {
      const lease = await client.leaseGrant(60, { signal });
      assert.equal(lease.ttlSeconds, 60);
      await client.put("leased", "1", { lease: lease.id, signal });
      const info = await client.leaseTimeToLive(lease.id, { keys: true, signal });
      assert.equal(info.grantedTtlSeconds, 60);
      assert.deepEqual(
        info.keys.map((key) => key.toString()),
        ["leased"],
      );
      assert.equal((await client.leaseKeepAlive(lease.id, { signal })).ttlSeconds, 60);
      assert.ok((await client.leases({ signal })).ids.includes(lease.id));
      await client.leaseRevoke(lease.id, { signal });
      assert.equal((await client.get("leased", { signal })).kv, undefined);
      assert.equal((await client.leaseKeepAlive(lease.id, { signal })).ttlSeconds, 0);
      assert.equal((await client.leaseTimeToLive(lease.id, { signal })).ttlSeconds, -1);
    });

    test("status(), memberList() and alarms() describe the member", async () => {
      const status = await client.status(store.endpoint, { signal });
      assert.match(status.version, /^3\.\d+\.\d+$/);
      assert.equal(status.leader, status.header.memberId);
      assert.ok(status.dbSize > 0 && status.dbSizeInUse > 0 && status.raftAppliedIndex > 0);
      const { members } = await client.memberList({ signal });
      assert.equal(members[0]?.id, status.header.memberId);
      assert.deepEqual(members[0]?.clientUrls, [store.endpoint]);
      assert.deepEqual((await client.alarms({ signal })).alarms, []);
    });

    test("compact() makes older revisions an error with a code", async () => {
      const { header } = await client.put("compacted", "1", { signal });
      await client.put("compacted", "2", { signal });
      await client.compact(header.revision + 1, { physical: true, signal });
      await assert.rejects(client.get("compacted", { revision: header.revision, signal }), (error) => {
        assert.ok(error instanceof ClientError);
        assert.equal(error.code, "Compacted");
        assert.equal(error.retryable, false);
        assert.equal(error.detail, "etcdserver: mvcc: required revision has been compacted");
        assert.equal(error.message, `Cannot read key "compacted" at ${store.endpoint}: ${error.detail}`);
        return true;
      });
    });

    test("calls that the store refuses tell why by a code", async () => {
      await assert.rejects(client.put("", "x", { signal }), { code: "EmptyKey" });
      await assert.rejects(client.get("a", { revision: 1_000_000, signal }), { code: "FutureRev" });
      await assert.rejects(client.put("a", "x", { lease: 123n, signal }), { code: "LeaseNotFound" });
      await assert.rejects(client.leaseRevoke(123n, { signal }), { code: "LeaseNotFound" });
      await assert.rejects(client.put("a", "", { ignoreValue: true, lease: 5n, ignoreLease: true, signal }), {
        code: "LeaseProvided",
      });
      await assert.rejects(client.put("nothing", "", { ignoreValue: true, signal }), { code: "KeyNotFound" });
      await assert.rejects(client.put("large", Buffer.alloc(1_700_000), { signal }), {
        code: "RequestTooLarge",
      });
    });

    test("a call that is given up rejects with the signal's reason", async () => {
      const reason = new Error("enough");
      const stopped = AbortSignal.abort(reason);
      await assert.rejects(client.get("a", { signal: stopped }), reason);
      const stopping = new AbortController();
      const call = client.get("a", { signal: stopping.signal });
      stopping.abort(reason);
      await assert.rejects(call, reason);
    });

    test("large answers come whole", async () => {
      const value = Buffer.alloc(1_000_000, "x");
      for (let i = 0; i < 8; i++) await client.put(`big/${i}`, value, { signal });
      const { kvs } = await client.range("big/", { prefix: true, signal });
      assert.equal(
        kvs.reduce((sum, kv) => sum + kv.value.length, 0),
        8_000_000,
      );
    });
  });
}

suite("StoreClient", () => {
  test("create() refuses endpoints that make no sense, and does not connect", () => {
    assert.throws(() => StoreClient.create({ endpoints: [] }), { code: "EINVAL" });
    assert.throws(
      () => StoreClient.create({ endpoints: ["ftp://a:1"] }),
      /scheme "ftp", expected http or https/,
    );
    assert.throws(() => StoreClient.create({ endpoints: ["a"] }), /expected host:port/);
    assert.throws(() => StoreClient.create({ endpoints: ["a:70000"] }), /port 70000, expected 1 to 65535/);
    StoreClient.create({ endpoints: ["no-such-host.invalid:1"] }).close();
  });

  test("a call names every endpoint that it tried, and why each failed", async () => {
    using client = StoreClient.create({
      endpoints: ["127.0.0.1:1", "no-such-host.invalid:2379"],
      limits: { callTimeoutMs: 1_500, dialTimeoutMs: 500, backoffBaseMs: 20, backoffMaxMs: 50 },
    });
    await assert.rejects(client.put("a", "1", { signal }), (error) => {
      assert.ok(error instanceof ClientError);
      assert.equal(error.code, "Unreachable");
      assert.equal(error.retryable, true);
      assert.match(error.message, /^Cannot put key "a": no endpoint answered; tried /);
      assert.match(error.message, /127\.0\.0\.1:1 \(connect ECONNREFUSED 127\.0\.0\.1:1\)/);
      assert.match(error.message, /no-such-host\.invalid:2379 \(/);
      return true;
    });
  });

  test("calls after close() fail", async () => {
    const client = StoreClient.create({ endpoints: ["127.0.0.1:1"] });
    client.close();
    await assert.rejects(client.get("a", { signal }), /closed/);
  });
});
