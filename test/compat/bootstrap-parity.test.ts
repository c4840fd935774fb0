import assert from "node:assert/strict";
import { test } from "node:test";
import { errorMessage } from "../../base/errors.ts";
import { loadStoreConfig } from "../../conf/load-store-config.ts";
import { bootstrapPlan } from "../../store/membership/bootstrap-plan.ts";
import { idText } from "../../store/raft/id-text.ts";
import { bootstrapConfig } from "../../store/server/bootstrap-config.ts";
import { etcdProgram } from "../support/etcd.ts";
import { freePort, startProcess, temporaryFolder } from "../support/process.ts";

/** What came of the same flags. */
type Beginning = { readonly member: string; readonly cluster: string } | { readonly error: string };

const PORTS = {
  own: await freePort(),
  client: await freePort(),
  other: await freePort(),
  more: await freePort(),
};
const url = (port: number) => `http://127.0.0.1:${port}`;
const OWN = url(PORTS.own);
const OTHER = url(PORTS.other);
const MORE = url(PORTS.more);

const beginnings: readonly [what: string, args: readonly string[]][] = [
  ["one member", ["--name=a", `--initial-cluster=a=${OWN}`]],
  [
    "three members and a token",
    ["--name=a", `--initial-cluster=c=${MORE},a=${OWN},b=${OTHER}`, "--initial-cluster-token=tok"],
  ],
  [
    "a member of two URLs",
    [
      "--name=a",
      `--initial-advertise-peer-urls=${OWN},${MORE}`,
      `--initial-cluster=a=${MORE},b=${OTHER},a=${OWN}`,
    ],
  ],
  ["a name that is not in the cluster", ["--name=x", `--initial-cluster=a=${OWN}`]],
  ["a URL that is not advertised", ["--name=a", `--initial-cluster=a=${OWN},a=${OTHER}`]],
  ["another URL than the advertised one", ["--name=a", `--initial-cluster=a=${OTHER}`]],
  [
    "an advertised URL that is not in the cluster",
    ["--name=a", `--initial-advertise-peer-urls=${OWN},${MORE}`, `--initial-cluster=a=${OWN}`],
  ],
  ["two members with one URL", ["--name=a", `--initial-cluster=a=${OWN},b=${OWN}`]],
  [
    "two members with one name, which are one of two URLs to another",
    ["--name=a", `--initial-cluster=a=${OWN},b=${OTHER},b=${MORE}`],
  ],
  ["two members with its own name", ["--name=a", `--initial-cluster=b=${OTHER},a=${MORE},a=${OWN}`]],
  ["no URL", ["--name=a", "--initial-cluster=a"]],
  ["a URL without a port", ["--name=a", "--initial-cluster=a=http://127.0.0.1"]],
  ["a URL with a path", ["--name=a", `--initial-cluster=a=${OWN}/x`]],
  [
    "a cluster that is to be joined and is not there",
    ["--name=a", `--initial-cluster=a=${OWN},b=${OTHER}`, "--initial-cluster-state=existing"],
  ],
  [
    "a cluster of this member alone that is to be joined",
    ["--name=a", `--initial-cluster=a=${OWN}`, "--initial-cluster-state=existing"],
  ],
];

for (const [what, args] of beginnings) {
  test(`bootstrapPlan() says of ${what} what etcd says`, async () => {
    const flags = [`--listen-peer-urls=${OWN}`, `--initial-advertise-peer-urls=${OWN}`, ...args];
    assert.deepEqual(await ours(flags), await theirs(flags));
  });
}

async function ours(args: readonly string[]): Promise<Beginning> {
  try {
    const command = loadStoreConfig(args, {});
    assert.ok(command.kind === "run");
    const plan = await bootstrapPlan(bootstrapConfig(command.settings), false, {
      fetchMembers: () => Promise.reject(new Error("nobody is there")),
      lookup: (host) => Promise.resolve(host),
      signal: new AbortController().signal,
    });
    assert.ok(plan.kind === "new");
    return { member: idText(plan.memberId), cluster: idText(plan.clusterId) };
  } catch (error) {
    return { error: errorMessage(error) };
  }
}

/** From etcd's own log of its start. */
async function theirs(args: readonly string[]): Promise<Beginning> {
  const etcd = await startProcess(await etcdProgram("etcd"), [
    `--data-dir=${temporaryFolder("etcd")}/data`,
    `--listen-client-urls=${url(PORTS.client)}`,
    `--advertise-client-urls=${url(PORTS.client)}`,
    ...args,
  ]);
  const line = await etcd.waitForLine(/"msg":"(?:starting local member|discovery failed)"/);
  await etcd.kill();
  const found: { error?: string; "local-member-id"?: string; "cluster-id"?: string } = JSON.parse(line);
  if (found.error !== undefined) return { error: found.error };
  return { member: found["local-member-id"] ?? "", cluster: found["cluster-id"] ?? "" };
}
