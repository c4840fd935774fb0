import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type EtcdServer, etcdctl, etcdProgram, etcdutl, startEtcd } from "./etcd.ts";
import { startProcess } from "./process.ts";

let etcd: EtcdServer;
before(async () => {
  etcd = await startEtcd();
});
after(() => etcd.stop());

test("etcdctl() puts and gets on a real etcd 3.7.3", async () => {
  const { endpoint } = etcd;
  assert.deepEqual(await etcdctl(["put", "a/key", "a value"], { endpoint }), {
    code: 0,
    stdout: "OK\n",
    stderr: "",
  });
  assert.equal((await etcdctl(["get", "a/key"], { endpoint })).stdout, "a/key\na value\n");
  const status = JSON.parse((await etcdctl(["endpoint", "status", "-w", "json"], { endpoint })).stdout);
  assert.equal(status[0].Status.version, "3.7.3");
});

test("etcdctl() reports a failure as a code", async () => {
  const { code, stderr } = await etcdctl(["get"], { endpoint: etcd.endpoint });
  assert.notEqual(code, 0);
  assert.match(stderr, /get command needs one argument/);
});

test("etcdutl() runs", async () => {
  assert.match((await etcdutl(["version"])).stdout, /etcdutl version: 3\.7\.3/);
});

test("EtcdServer.restart() keeps endpoint and data after a kill", async () => {
  const { endpoint } = etcd;
  await etcdctl(["put", "kept", "yes"], { endpoint });
  await etcd.kill();
  await etcd.restart();
  assert.equal((await etcdctl(["get", "kept", "--print-value-only"], { endpoint })).stdout, "yes\n");
});

test("startProcess() follows a watch of etcdctl", async () => {
  const { endpoint } = etcd;
  const args = ["watch", "watched", "--rev=1", `--endpoints=${endpoint}`];
  await using watch = await startProcess(await etcdProgram("etcdctl"), args);
  await etcdctl(["put", "watched", "seen"], { endpoint });
  assert.equal(await watch.waitForLine(/^seen$/), "seen");
});
