import assert from "node:assert/strict";
import { test } from "node:test";
import { PutRequest, PutResponse } from "../../../store/proto/gen/rpc.ts";
import { startLogstore } from "../../compat/logstore.ts";
import { RawClient } from "../../compat/raw-client.ts";
import { freePort, temporaryFolder } from "../../support/process.ts";

async function get(url: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

test("--listen-metrics-urls serves health, version and metrics of what was measured", async () => {
  const http = `http://127.0.0.1:${await freePort()}`;
  await using store = await startLogstore({
    folder: temporaryFolder("http"),
    args: [`--listen-metrics-urls=${http}`],
  });
  using client = new RawClient(store.endpoint);
  for (let number = 0; number < 10; number += 1) {
    await client.call("KV/Put", [PutRequest, PutResponse], { key: Buffer.from("k") });
  }
  await assert.rejects(client.call("KV/Put", [PutRequest, PutResponse], {}), { code: 3 });
  assert.deepEqual(await get(`${http}/health`), { status: 200, body: '{"health":"true","reason":""}' });
  assert.deepEqual(await get(`${http}/livez`), { status: 200, body: "ok\n" });
  assert.deepEqual(await get(`${http}/readyz`), { status: 200, body: "ok\n" });
  assert.deepEqual(await get(`${http}/version`), {
    status: 200,
    body: '{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}',
  });
  assert.equal((await get(`${http}/nothing`)).status, 404);
  const post = await fetch(`${http}/health`, { method: "POST" });
  assert.equal(post.status, 405);
  const { status, body } = await get(`${http}/metrics`);
  assert.equal(status, 200);
  const value = (name: string) => {
    const line = body.split("\n").find((line) => line.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? assert.fail(`no metric ${name}`));
  };
  assert.equal(value("etcd_server_has_leader"), 1);
  assert.equal(value("etcd_server_is_leader"), 1);
  assert.equal(value("etcd_server_leader_changes_seen_total"), 1);
  assert.equal(value("etcd_debugging_mvcc_current_revision"), 11);
  assert.equal(value("etcd_debugging_mvcc_keys_total"), 1);
  assert.equal(value("etcd_server_proposals_pending"), 0);
  assert.equal(value("etcd_server_proposals_failed_total"), 0);
  assert.ok(value("etcd_server_proposals_committed_total") >= 10);
  assert.ok(value("etcd_server_proposals_applied_total") >= 10);
  assert.ok(value("etcd_disk_wal_fsync_duration_seconds_count") >= 10);
  assert.ok(value("etcd_mvcc_db_total_size_in_bytes") > 0);
  assert.equal(value("etcd_server_quota_backend_bytes"), 2 ** 31);
  const handled = (code: string) =>
    value(
      `grpc_server_handled_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_code="${code}"}`,
    );
  assert.equal(handled("OK"), 10);
  assert.equal(handled("InvalidArgument"), 1);
  assert.ok(value("nodejs_eventloop_lag_seconds") >= 0);
});
