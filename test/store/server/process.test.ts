import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  MemberListRequest,
  MemberListResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
} from "../../../store/proto/gen/rpc.ts";
import { startLogstore } from "../../compat/logstore.ts";
import { RawClient } from "../../compat/raw-client.ts";
import { etcdProgram } from "../../support/etcd.ts";
import { freePort, run, spawnBin, startProcess, temporaryFolder } from "../../support/process.ts";

const BIN = path.resolve(import.meta.dirname, "../../../store/bin.js");
const PUT = [PutRequest, PutResponse] as const;
const RANGE = [RangeRequest, RangeResponse] as const;

test("logstore --version prints etcd's line among its own, --help every flag", async () => {
  const version = await run(process.execPath, [BIN, "--version"]);
  assert.equal(version.code, 0);
  assert.match(
    version.stdout,
    /^logstore Version: \d+\.\d+\.\d+\netcd Version: 3\.7\.\d+\nNode Version: .*\n$/,
  );
  const help = await run(process.execPath, [BIN, "--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /--listen-client-urls 'http:\/\/localhost:2379'/);
});

test("logstore logs JSON lines, one of them that it is ready, with ids and addresses", async () => {
  const folder = temporaryFolder("ready");
  await using store = await startLogstore({ folder });
  const line = await store.process.waitForLine("ready to serve client requests");
  const { msg, level, addresses, member, cluster } = JSON.parse(line);
  assert.deepEqual([msg, level], ["ready to serve client requests", 30]);
  // etcd's well-known ids of its default flags.
  assert.deepEqual([member, cluster], ["8e9e05c52164694d", "cdf818194e3a8c32"]);
  const address = store.endpoint.slice("http://".length);
  assert.deepEqual(addresses, [{ flag: "listen-client-urls", address }]);
});

test("logstore listens on several addresses, IPv6 too where there is one, on ports of the system's choice", async () => {
  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === "::1"),
  );
  const second = hasIpv6 ? "[::1]" : "127.0.0.2";
  const urls = `http://127.0.0.1:0,http://${second}:0`;
  await using store = await spawnBin(
    "logstore",
    [
      `--data-dir=${temporaryFolder("many")}/d`,
      `--listen-client-urls=${urls}`,
      "--advertise-client-urls=http://a:1",
      "--listen-peer-urls=http://127.0.0.1:0",
    ],
    { readyLine: "ready to serve client requests" },
  );
  const { addresses } = JSON.parse(await store.waitForLine("ready to serve client requests"));
  assert.equal(addresses.length, 2);
  for (const [index, host] of ["127.0.0.1", second].entries()) {
    const { address } = addresses[index];
    assert.ok(address.startsWith(`${host}:`) && !address.endsWith(":0"), address);
    using client = new RawClient(`http://${address}`);
    await client.call("KV/Put", PUT, { key: Buffer.from("k") });
  }
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`logstore ends with exit code 0 on ${signal}, under load and with a watch open, and keeps what it acknowledged`, async () => {
    const folder = temporaryFolder("stop");
    const acknowledged: string[] = [];
    {
      const store = await startLogstore({ folder });
      const watch = await startProcess(await etcdProgram("etcdctl"), ["watch", "--prefix", ""], {
        env: { ETCDCTL_ENDPOINTS: store.endpoint },
      });
      using client = new RawClient(store.endpoint);
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let number = 0; ; number += 1) {
          const key = `k/${writer}/${number}`;
          try {
            await client.call("KV/Put", PUT, { key: Buffer.from(key) }, 3_000);
            acknowledged.push(key);
          } catch {
            return;
          }
        }
      });
      await sleep(300);
      process.kill(store.process.pid, signal);
      assert.deepEqual(await store.process.exited, { code: 0, signal: null });
      await Promise.all(writers);
      await watch.kill();
    }
    assert.ok(acknowledged.length > 0);
    await using store = await startLogstore({ folder });
    using client = new RawClient(store.endpoint);
    const { kvs } = await client.call("KV/Range", RANGE, {
      key: Buffer.from("k/"),
      rangeEnd: Buffer.from("k0"),
    });
    const kept = new Set(kvs.map(({ key }) => String(key)));
    for (const key of acknowledged) assert.ok(kept.has(key), `${key} was acknowledged`);
  });
}

test("logstore takes its settings from ETCD_ variables, or from a config file", async () => {
  const folder = temporaryFolder("settings");
  const url = `http://127.0.0.1:${await freePort()}`;
  const readyLine = "ready to serve client requests";
  const memberList = async () => {
    using client = new RawClient(url);
    const types = [MemberListRequest, MemberListResponse] as const;
    const { members } = await client.call("Cluster/MemberList", types, {});
    return members.map(({ name, clientURLs }) => [name, clientURLs]);
  };
  {
    const env = {
      ETCD_NAME: "by-variable",
      ETCD_DATA_DIR: path.join(folder, "one"),
      ETCD_LISTEN_CLIENT_URLS: url,
      ETCD_ADVERTISE_CLIENT_URLS: "http://a.example:1",
      ETCD_LISTEN_PEER_URLS: "http://127.0.0.1:0",
    };
    await using _ = await spawnBin("logstore", [], { env, readyLine });
    assert.deepEqual(await memberList(), [["by-variable", ["http://a.example:1"]]]);
  }
  const file = path.join(folder, "etcd.yaml");
  const settings = {
    name: "by-file",
    "data-dir": path.join(folder, "two"),
    "listen-client-urls": url,
    "listen-peer-urls": "http://127.0.0.1:0",
  };
  writeFileSync(file, JSON.stringify({ ...settings, "advertise-client-urls": url, "enable-pprof": true }));
  await using store = await spawnBin("logstore", ["--config-file", file, "--name=ignored"], { readyLine });
  assert.deepEqual(await memberList(), [["by-file", [url]]]);
  const warnings = store
    .output()
    .split("\n")
    .filter((line) => line.includes('"level":40'));
  assert.deepEqual(
    warnings.map((line) => JSON.parse(line)).map(({ msg, names }) => [msg, names]),
    [
      ["ignored flags and variables, because the config file alone counts", ["--name"]],
      ["settings of etcd that have no effect here", [`key "enable-pprof" of ${file}`]],
    ],
  );
});

test("logstore compacts by itself with --auto-compaction-retention", async () => {
  await using store = await startLogstore({
    folder: temporaryFolder("auto"),
    args: ["--auto-compaction-mode=periodic", "--auto-compaction-retention=500ms"],
  });
  using client = new RawClient(store.endpoint);
  const key = Buffer.from("k");
  for (let number = 0; number < 5; number += 1) await client.call("KV/Put", PUT, { key });
  await store.process.waitForLine("completed auto compaction");
  await client.call("KV/Put", PUT, { key });
  for (;;) {
    const old = client.call("KV/Range", RANGE, { key, revision: 4 });
    if (
      await old.then(
        () => false,
        (error) => error.details.includes("has been compacted"),
      )
    )
      break;
    await sleep(50);
  }
  assert.equal((await client.call("KV/Range", RANGE, { key })).kvs[0]?.version, 6);
});

test("logstore ends with exit code 1 when it can write no more, and has kept what it acknowledged", async () => {
  const folder = temporaryFolder("full");
  const url = `http://127.0.0.1:${await freePort()}`;
  const flags = `--data-dir=${folder}/data --listen-client-urls=${url} --advertise-client-urls=${url} --listen-peer-urls=http://127.0.0.1:0`;
  // Files may grow to 80 MiB: the log's first segment (64 MiB) fits, the backend of what is put into it does not.
  const limited = await startProcess(
    "bash",
    ["-c", `ulimit -f 81920; exec ${process.execPath} ${BIN} ${flags}`],
    {
      readyLine: "ready to serve client requests",
    },
  );
  const acknowledged: string[] = [];
  {
    using client = new RawClient(url);
    try {
      for (let number = 0; number < 200; number += 1) {
        const key = `k${number}`;
        await client.call("KV/Put", PUT, { key: Buffer.from(key), value: Buffer.alloc(1_000_000, number) });
        acknowledged.push(key);
      }
    } catch {
      // It ended, as it should.
    }
  }
  assert.deepEqual(await limited.exited, { code: 1, signal: null });
  assert.match(limited.output(), /"level":60.*"msg":"ending/);
  assert.ok(acknowledged.length > 10, `${acknowledged.length} puts`);
  await using store = await startLogstore({ folder });
  using client = new RawClient(store.endpoint);
  const { kvs } = await client.call("KV/Range", RANGE, {
    key: Buffer.from("k"),
    rangeEnd: Buffer.from("l"),
    keysOnly: true,
  });
  const kept = new Set(kvs.map(({ key }) => String(key)));
  for (const key of acknowledged) assert.ok(kept.has(key), `${key} was acknowledged`);
});
