import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../../store/client/client.ts";
import { logctl } from "../../ctl/run-logctl.ts";
import { type EtcdServer, etcdctl, startEtcd } from "../../support/etcd.ts";

const signal = AbortSignal.timeout(60_000);

suite("StoreClient with a user and a password, against an etcd that asks for them", () => {
  let etcd: EtcdServer;

  before(async () => {
    // Tokens run out after 1 s, so that a test sees one being replaced.
    etcd = await startEtcd({ args: ["--auth-token-ttl=1"] });
    const { endpoint } = etcd;
    for (const args of [
      ["user", "add", "root:secret"],
      ["user", "grant-role", "root", "root"],
      ["user", "add", "reader:read"],
      ["auth", "enable"],
    ]) {
      const { code, stderr } = await etcdctl(args, { endpoint });
      assert.equal(code, 0, stderr);
    }
  });
  after(() => etcd.stop());

  const open = (user: string, password: string) =>
    StoreClient.create({ endpoints: [etcd.endpoint], credentials: { user, password } });

  test("calls and watches carry the token", async () => {
    using client = open("root", "secret");
    const watch = client.watch({ key: "a", signal })[Symbol.asyncIterator]();
    assert.equal((await watch.next()).value?.kind, "created");
    await client.put("a", "1", { signal });
    assert.equal((await watch.next()).value?.kind, "events");
    await watch.return?.();
    assert.equal((await client.leaseGrant(60, { signal })).ttlSeconds, 60);
  });

  test("a token that ran out is replaced, for writes too", async () => {
    using client = open("root", "secret");
    await client.put("b", "1", { signal });
    await etcd.kill();
    await etcd.restart();
    // A restarted etcd knows no token of before.
    await assert.doesNotReject(client.put("b", "2", { signal }));
  });

  test("a wrong password, no credentials and a forbidden key are errors with a code", async () => {
    using wrong = open("root", "guess");
    await assert.rejects(wrong.get("a", { signal }), {
      code: "Unauthenticated",
      message: /: etcdserver: authentication failed, invalid user ID or password$/,
    });
    using nobody = StoreClient.create({ endpoints: [etcd.endpoint] });
    await assert.rejects(nobody.get("a", { signal }), { code: "Unauthenticated" });
    using reader = open("reader", "read");
    await assert.rejects(reader.get("a", { signal }), { code: "Rejected", message: /permission denied$/ });
    const forbidden = reader.watch({ key: "a", signal })[Symbol.asyncIterator]();
    await assert.rejects(Promise.resolve(forbidden.next()), {
      message: /^Cannot watch "a" at http.*permission denied/,
    });
  });

  test("logctl signs in with --user, or with ETCDCTL_USER and ETCDCTL_PASSWORD", async () => {
    const { endpoint } = etcd;
    const flag = await logctl(["put", "c", "1", "--user", "root:secret"], { endpoint });
    assert.deepEqual([flag.code, flag.stderr], [0, ""]);
    const env = { ETCDCTL_USER: "root", ETCDCTL_PASSWORD: "secret" };
    assert.equal((await logctl(["get", "c"], { endpoint, env })).stdout.toString(), "c\n1\n");
    const none = await logctl(["get", "c"], { endpoint });
    assert.deepEqual([none.code, none.stderr], [1, "Error: etcdserver: user name is empty\n"]);
  });

  test("credentials do no harm where nobody asks for them", async () => {
    await using open = await startEtcd();
    using client = StoreClient.create({
      endpoints: [open.endpoint],
      credentials: { user: "root", password: "x" },
    });
    await client.put("a", "1", { signal });
  });
});
