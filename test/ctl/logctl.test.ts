import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../store/client/client.ts";
import { type RunningStore, STORES } from "../store/client/stores.ts";
import { freePort, runBin, spawnBin } from "../support/process.ts";
import { logctl } from "./run-logctl.ts";

const signal = AbortSignal.timeout(120_000);

suite("logctl", () => {
  const store = () => startedStore;
  let startedStore: RunningStore;

  before(async () => {
    startedStore = await (STORES[1] ?? assert.fail("no store")).start();
  });
  after(() => startedStore[Symbol.asyncDispose]());

  test("is a command of its own: exit code, stdin and stdout, as processes have them", async () => {
    const options = { env: { ETCDCTL_ENDPOINTS: store().endpoint } };
    const put = await runBin("logctl", ["put", "process"], { ...options, stdin: "from stdin" });
    assert.deepEqual(put, { code: 0, stdout: "OK\n", stderr: "" });
    const get = await runBin("logctl", ["get", "process", "--print-value-only"], options);
    assert.deepEqual(get, { code: 0, stdout: "from stdin\n", stderr: "" });
    const refused = await runBin("logctl", ["get", ""], options);
    assert.deepEqual(refused, { code: 1, stdout: "", stderr: "Error: etcdserver: key is not provided\n" });
    const wrong = await runBin("logctl", ["get", "--prefxi", "a"], options);
    assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
  });

  test("watch ends with 0 on SIGTERM", async () => {
    await using watching = await spawnBin("logctl", ["watch", "term", "--rev", "1"], {
      env: { ETCDCTL_ENDPOINTS: store().endpoint },
    });
    using client = StoreClient.create({ endpoints: [store().endpoint] });
    await client.put("term", "value", { signal });
    await watching.waitForLine("value");
    assert.deepEqual(await watching.stop(), { code: 0, signal: null });
    assert.equal(watching.output(), "PUT\nterm\nvalue\n");
  });

  test("txn ends when it has read what it needs, though its input stays open", async () => {
    const child = spawn(process.execPath, [path.resolve(import.meta.dirname, "../../ctl/bin.js"), "txn"], {
      env: { ...process.env, ETCDCTL_ENDPOINTS: store().endpoint },
      stdio: ["pipe", "ignore", "inherit"],
    });
    child.stdin.write("\n\n\n");
    const [code] = await once(child, "exit", { signal: AbortSignal.timeout(20_000) });
    assert.equal(code, 0);
    child.stdin.destroy();
  });

  test("a reader that went away is no error", async () => {
    using client = StoreClient.create({ endpoints: [store().endpoint] });
    for (const key of ["pipe/1", "pipe/2", "pipe/3"])
      await client.put(key, Buffer.alloc(900_000, "x"), { signal });
    const child = spawn(
      process.execPath,
      [path.resolve(import.meta.dirname, "../../ctl/bin.js"), "get", "--prefix", "pipe/"],
      {
        env: { ...process.env, ETCDCTL_ENDPOINTS: store().endpoint },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const errors: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    child.stdout.once("data", () => child.stdout.destroy());
    const [code] = await once(child, "close", { signal: AbortSignal.timeout(20_000) });
    assert.deepEqual([code, Buffer.concat(errors).toString()], [0, ""]);
  });

  test("keeps bytes of values that are no text", async () => {
    const { endpoint } = store();
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    assert.equal((await logctl(["put", "bytes"], { endpoint, stdin: value })).code, 0);
    const { stdout } = await logctl(["get", "bytes", "--print-value-only"], { endpoint });
    assert.deepEqual(stdout.subarray(0, -1), value);
    const hex = await logctl(["get", "bytes", "--hex", "--print-value-only"], { endpoint });
    assert.match(hex.stdout.toString(), /^\\x00\\x01\\x02.*\\xfe\\xff\n$/);
    const fields = await logctl(["get", "bytes", "-w", "fields"], { endpoint });
    assert.match(
      fields.stdout.toString(),
      /"Value" : "\\x00\\x01.*\\a\\b\\t\\n.* !\\"#.*\\x7f\\x80.*\\xff"\n/,
    );
  });

  test("an unreachable store fails in etcdctl's words, with our reason behind", async () => {
    const endpoint = `127.0.0.1:${await freePort()}`;
    const { code, stderr } = await logctl(["get", "a", "--command-timeout=2s"], { endpoint });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `Error: context deadline exceeded: Cannot read key "a": no endpoint answered; tried ${endpoint} (connect ECONNREFUSED ${endpoint})\n`,
    );
  });

  test("endpoint status and health tell of each endpoint, also of one that is away", async () => {
    const away = `127.0.0.1:${await freePort()}`;
    const args = [`--endpoints=${store().endpoint},${away}`, "--command-timeout=300ms"];
    const status = await logctl(["endpoint", "status", ...args]);
    assert.equal(status.code, 1);
    assert.match(
      status.stdout.toString(),
      /^http:\S+, [0-9a-f]+, 3\.\d+\.\d+, .*, true, false, \d+, \d+, \d+, , , false\n$/,
    );
    assert.ok(
      status.stderr.startsWith(`Failed to get the status of endpoint ${away} (context deadline exceeded: `),
    );
    const health = await logctl(["endpoint", "health", ...args]);
    assert.equal(health.code, 1);
    assert.match(
      health.stdout.toString(),
      /^http:\S+ is healthy: successfully committed proposal: took = \S+ms\n$/,
    );
    assert.match(
      health.stderr,
      /is unhealthy: failed to commit proposal: context deadline exceeded.*\nError: unhealthy cluster\n$/,
    );
    const table = await logctl(["endpoint", "status", "-w", "table", "--endpoints", store().endpoint]);
    assert.match(
      table.stdout.toString(),
      /^┌─+┬.*\n│ +ENDPOINT +│ +ID +│ VERSION │ STORAGE VERSION │.*\n├─.*\n│ http.*│\n└─.*┘\n$/,
    );
  });

  test("--cluster asks the endpoints of the member list", async () => {
    const { endpoint } = store();
    const { code, stdout } = await logctl(["endpoint", "health", "--cluster"], { endpoint });
    assert.equal(code, 0);
    assert.ok(stdout.toString().startsWith(`${endpoint} is healthy`));
  });

  test("flags win over the environment, and the environment over defaults", async () => {
    const { endpoint } = store();
    const env = { ETCDCTL_ENDPOINTS: "127.0.0.1:1", ETCDCTL_WRITE_OUT: "json", ETCDCTL_HEX: "true" };
    const { code, stdout } = await logctl(["member", "list", `--endpoints=${endpoint}`], { env });
    assert.equal(code, 0);
    assert.match(stdout.toString(), /^\{"header":\{"cluster_id":"[0-9a-f]+"/);
  });

  const WRONG: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [["gte", "a"], /^Error: unknown command 'gte'\n\(Did you mean get\?\)\n$/],
    [["lease", "grnat", "5"], /^Error: unknown command 'grnat'\n\(Did you mean grant\?\)\n$/],
    [["get", "a", "--prefxi"], /^Error: unknown option '--prefxi'\n\(Did you mean --prefix\?\)\n$/],
    [["get", "a", "--limit", "x"], /^Error: .*--limit.*strconv\.ParseInt: parsing "x": invalid syntax\n$/],
    [["get", "a", "b", "c"], /^Error: .*too many arguments.*\n$/],
    [
      ["get", "a", "-w", "yaml"],
      /^Error: unsupported output format "yaml", expected one of simple, json, fields, table\n$/,
    ],
    [
      ["get", "a", "--dial-timeout", "5"],
      /^Error: invalid argument "5" for "--dial-timeout" flag: time: missing unit in duration "5"\n$/,
    ],
    [
      ["get", "a", "--command-timeout", "soon"],
      /^Error: invalid argument "soon" for "--command-timeout" flag: time: invalid duration "soon"\n$/,
    ],
    [["get", "a", "--command-timeout", "0s"], /expected above 0s\n$/],
    [
      ["get", "a", "--endpoints", "localhost"],
      /^Error: Cannot use store endpoint "localhost": expected host:port/,
    ],
    [
      ["get", "a", "--user", "root"],
      /^Error: --user root has no password, expected --user root:PASSWORD or --password\n$/,
    ],
    [["get", "a", "--cacert", "/no/such/file"], /^Error: cannot read --cacert \/no\/such\/file: ENOENT/],
    [["get", "a", "--key", "package.json"], /^Error: --cert and --key go together, got only --key\n$/],
  ];
  for (const [args, message] of WRONG) {
    test(`wrong usage ends with 2 and says why: ${args.join(" ")}`, async () => {
      const { code, stdout, stderr } = await logctl(args);
      assert.match(stderr, message);
      assert.deepEqual([code, stdout.length], [2, 0]);
    });
  }

  test("compares by lease, and operators that etcdctl ends with a panic on", async () => {
    const { endpoint } = store();
    const grant = await logctl(["lease", "grant", "60"], { endpoint });
    const id = /lease ([0-9a-f]+) granted/.exec(grant.stdout.toString())?.[1] ?? "";
    await logctl(["put", "by-lease", "1", "--lease", id], { endpoint });
    const txn = await logctl(["txn"], { endpoint, stdin: `lease("by-lease") = "${id}"\n\n\n\n` });
    assert.equal(txn.stdout.toString(), "SUCCESS\n");
    const operator = await logctl(["txn"], { endpoint, stdin: 'mod("a") >= "1"\n\n\n\n' });
    assert.equal(operator.code, 2);
    assert.match(operator.stderr, /unknown operator >=, expected =, !=, > or </);
  });

  test("lease timetolive --keys separates the keys by spaces", async () => {
    const { endpoint } = store();
    const grant = await logctl(["lease", "grant", "60"], { endpoint });
    const id = /lease ([0-9a-f]+) granted/.exec(grant.stdout.toString())?.[1] ?? "";
    for (const key of ["k1", "k2"]) await logctl(["put", key, "v", `--lease=${id}`], { endpoint });
    const { stdout } = await logctl(["lease", "timetolive", id, "--keys"], { endpoint });
    assert.match(stdout.toString(), /remaining\(\d+s\), attached keys\(\[k\d k\d\]\)\n$/);
  });
});

suite("logctl --help and --version", () => {
  test("print the verbs, and what `version` prints", async () => {
    const help = await logctl(["--help"]);
    assert.equal(help.code, 0);
    for (const verb of ["put", "get", "del", "txn", "watch", "lease", "member", "endpoint", "agents"]) {
      assert.match(help.stdout.toString(), new RegExp(`^  ${verb} `, "m"));
    }
    const version = await logctl(["version"]);
    assert.match(version.stdout.toString(), /^logctl version: \d+\.\d+\.\d+\nAPI version: 3\.7\n$/);
    assert.deepEqual(await logctl(["--version"]), version);
  });

  test("the help names no default that is false, empty or null", async () => {
    for (const args of [["--help"], ["get", "--help"], ["put", "--help"], ["watch", "--help"]]) {
      const { stdout } = await logctl(args);
      assert.doesNotMatch(stdout.toString(), /default:\s+(false|null|""|0)/);
    }
    const { stdout } = await logctl(["--help"]);
    assert.match(stdout.toString(), /default: "simple"/);
  });
});
