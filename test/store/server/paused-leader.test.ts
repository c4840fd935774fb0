import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { localAddresses } from "../../../deploy/cluster/local-addresses.ts";
import { LocalCluster } from "../../../deploy/cluster/local-cluster.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { eventually, temporaryFolder } from "../../support/process.ts";

const TTL_SECONDS = 3;
const PAUSE_MS = 5_000;
const RENEW_MS = 500;
/** A member that hangs is given up in time for the lease. */
const LIMITS = { dialTimeoutMs: 500, tryTimeoutMs: 1_000, callTimeoutMs: 2_000, backoffMaxMs: 200 };

/** A lease with a key under it, at three `logstore` processes, renewed until `stop` at whoever answers. */
async function leased() {
  const addresses = await localAddresses({ size: 3, preferDefaults: false });
  const cluster = new LocalCluster({ folder: temporaryFolder("paused"), addresses });
  await cluster.start();
  const client = StoreClient.create({ endpoints: cluster.endpoints, limits: LIMITS });
  const signal = AbortSignal.timeout(50_000);
  const { id } = await client.leaseGrant(TTL_SECONDS, { signal });
  await client.put("k", "v", { lease: id, signal });
  const answers: number[] = [];
  const stopping = new AbortController();
  const renewing = (async () => {
    while (!stopping.signal.aborted) {
      await client.leaseKeepAlive(id, { signal }).then(
        ({ ttlSeconds }) => answers.push(ttlSeconds),
        () => undefined,
      );
      await sleep(RENEW_MS);
    }
  })();
  const isThere = async () => (await client.get("k", { signal })).kv !== undefined;
  const stop = async () => {
    stopping.abort();
    await renewing;
  };
  const close = async () => {
    await stop();
    client.close();
    await cluster.close();
  };
  return { cluster, answers, isThere, stop, [Symbol.asyncDispose]: close };
}

suite("members that are paused", () => {
  test("a lease that is renewed outlives its leader's pause, and what that leader does when it goes on", async () => {
    await using lease = await leased();
    const leader = await lease.cluster.leader();
    assert.ok(leader !== undefined);
    leader.pause();
    await sleep(PAUSE_MS);
    assert.ok(await lease.isThere());
    leader.resume();
    await sleep(2_000);
    assert.ok(await lease.isThere());
    assert.ok(
      lease.answers.length > 0 && lease.answers.every((ttl) => ttl === TTL_SECONDS),
      `${lease.answers}`,
    );
    await lease.stop();
    await eventually(async () => assert.equal(await lease.isThere(), false), { timeoutMs: 15_000 });
  });

  test("a lease that is renewed outlives a pause of all members that is longer than its TTL", async () => {
    await using lease = await leased();
    for (const member of lease.cluster.members) member.pause();
    await sleep(PAUSE_MS);
    for (const member of lease.cluster.members) member.resume();
    await sleep(3_000);
    assert.ok(await lease.isThere());
    assert.ok(
      lease.answers.every((ttl) => ttl === TTL_SECONDS),
      `${lease.answers}`,
    );
  });
});
