import assert from "node:assert/strict";
import path from "node:path";
import { suite, test } from "node:test";
import { loadStoreConfig } from "../../conf/load-store-config.ts";
import { readFlags } from "../../conf/store-command-line.ts";
import { type RunningProcess, runBin, spawnBin, temporaryFolder } from "../support/process.ts";
import { compose, read, unitCommands, units, variablesOf } from "./deployed-files.ts";

/** A logstore as a file starts it. */
interface Start {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const NETWORK = `127.${randomByte()}.${randomByte()}`;
const unit = unitCommands(units.find(({ name }) => name === "logstore")?.text ?? "")[0]?.slice(1) ?? [];
const clusterVariables = variablesOf(read("deploy/systemd/logstore.env.example"));

suite("the store in docker-compose.yml and the systemd unit", () => {
  test("three services make a cluster with their own commands, and are healthy by their own checks", async () => {
    const services = Object.entries(compose.services).filter(
      ([, { command }]) => command?.[0] === "logstore",
    );
    assert.deepEqual(
      services.map(([name]) => name),
      ["store1", "store2", "store3"],
    );
    const starts = services.map(([name, { command = [], environment = {} }], index) => {
      assert.deepEqual(readFlags(command.slice(1)).get("name")?.value, name);
      const folder = temporaryFolder("store");
      const here = (text: string) =>
        text
          .replaceAll(/\bstore(\d)(?=:\d)/g, (_, number: string) => address(Number(number)))
          .replaceAll("0.0.0.0", address(index + 1))
          .replaceAll("/var/lib/logstore", path.join(folder, "data"));
      return substituted({ args: command.slice(1), env: texts(environment) }, here);
    });
    await serve(starts, async () => {
      for (const [index, [, { healthcheck }]] of services.entries()) {
        assert.deepEqual(healthcheck.test.slice(0, 2), ["CMD", "logctl"]);
        // In its container the member is at logctl's default endpoint.
        await succeeds(healthcheck.test.slice(2), { ETCDCTL_ENDPOINTS: `${address(index + 1)}:2379` });
      }
      await succeeds(["endpoint", "status", "--cluster"], { ETCDCTL_ENDPOINTS: `${address(1)}:2379` });
    });
  });

  test("the unit serves alone", async () => {
    const own = { ETCD_LISTEN_PEER_URLS: "http://127.0.0.1:0" };
    const endpoint = `http://${address(9)}:2379`;
    const client = { ETCD_LISTEN_CLIENT_URLS: endpoint, ETCD_ADVERTISE_CLIENT_URLS: endpoint };
    const start = { args: unit, env: { ...own, ...client } };
    const folder = temporaryFolder("store");
    const here = (text: string) => text.replaceAll("/var/lib/logstore", folder);
    await serve([substituted(start, here)], () =>
      succeeds(["endpoint", "health"], { ETCDCTL_ENDPOINTS: endpoint }),
    );
  });

  test("three units make a cluster with the example of logstore.env", async () => {
    const members = [
      ...(clusterVariables.ETCD_INITIAL_CLUSTER ?? "").matchAll(/(\w+)=http:\/\/10\.0\.1\.(\d+):2380/g),
    ];
    assert.equal(members.length, 3);
    const [, firstName = "", firstHost = ""] = members[0] ?? [];
    assert.equal(clusterVariables.ETCD_NAME, firstName);
    const starts = members.map(([, name = "", host = ""]) => {
      const { ETCD_INITIAL_CLUSTER: _, ...ownVariables } = clusterVariables;
      // What the file says to change on each machine: its name and its address.
      const own = substituted({ args: unit, env: ownVariables }, (text) =>
        text.replace(new RegExp(`^${firstName}$`), name).replaceAll(`10.0.1.${firstHost}`, `10.0.1.${host}`),
      );
      const folder = temporaryFolder("store");
      const env = { ...own.env, ETCD_INITIAL_CLUSTER: clusterVariables.ETCD_INITIAL_CLUSTER ?? "" };
      return substituted({ ...own, env }, (text) =>
        text
          .replaceAll("127.0.0.1", address(100 + Number(host)))
          .replaceAll("10.0.1.", `${NETWORK}.`)
          .replaceAll("/var/lib/logstore", path.join(folder, "data")),
      );
    });
    await serve(starts, async () => {
      for (const [, , host] of members)
        await succeeds(["endpoint", "health", "--cluster"], { ETCDCTL_ENDPOINTS: `${NETWORK}.${host}:2379` });
    });
  });

  test("every variable that the example leaves out exists too", () => {
    const text = read("deploy/systemd/logstore.env.example").replaceAll(/^#(?=ETCD_)/gm, "");
    const variables = variablesOf(text);
    assert.ok(Object.keys(variables).length > Object.keys(clusterVariables).length);
    assert.deepEqual(warningsOf({ args: unit, env: variables }), []);
  });
});

/** Runs the members while `check` runs. */
async function serve(starts: readonly Start[], check: () => Promise<void>): Promise<void> {
  for (const start of starts) assert.deepEqual(warningsOf(start), [], start.args.join(" "));
  const running: RunningProcess[] = [];
  try {
    const ready = starts.map(async ({ args, env }) => {
      const member = await spawnBin("logstore", args, { env });
      running.push(member);
      await member.waitForLine("ready to serve client requests");
    });
    await Promise.all(ready);
    await check();
  } finally {
    await Promise.all(running.map((member) => member.stop()));
  }
}

/** What is unknown or has no effect. */
function warningsOf({ args, env }: Start): readonly unknown[] {
  const command = loadStoreConfig([...args], env);
  return command.kind === "run" ? command.warnings : [command];
}

async function succeeds(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const { code, stdout, stderr } = await runBin("logctl", args, { env });
  assert.equal(code, 0, `logctl ${args.join(" ")}: ${stdout}${stderr}`);
}

function substituted({ args, env }: Start, here: (text: string) => string): Start {
  return {
    args: args.map(here),
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, here(value)])),
  };
}

function texts(environment: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, String(value)]));
}

/** Of a machine that this one stands for. */
function address(host: number): string {
  return `${NETWORK}.${host}`;
}

function randomByte(): number {
  return 1 + Math.floor(Math.random() * 254);
}
