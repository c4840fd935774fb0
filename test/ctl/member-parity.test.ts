import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { clusterId, memberId } from "../../store/membership/member-id.ts";
import { normalized } from "../compat/both-stores.ts";
import { startLogstore } from "../compat/logstore.ts";
import { etcdctl, startEtcd } from "../support/etcd.ts";
import { temporaryFolder } from "../support/process.ts";
import { logctl } from "./run-logctl.ts";

const PEER_URL = "http://store.example:2380";
/** With it the first member's id is a small one, and stands before any that a test adds: lists have one order. */
const TOKEN = tokenOfSmallId();
const FLAGS = [
  `--initial-advertise-peer-urls=${PEER_URL}`,
  `--initial-cluster=one=${PEER_URL}`,
  `--initial-cluster-token=${TOKEN}`,
  "--advertise-client-urls=http://store.example:2379",
];
const FIRST = memberId([PEER_URL], TOKEN).toString(16);

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A tool on a store of its own, and the members that were added there. */
interface Side {
  readonly name: string;
  readonly endpoint: string;
  readonly run: (args: readonly string[], endpoint: string) => Promise<Result>;
  readonly added: string[];
}

/** `code`: of logctl, where etcdctl's is another one. `$NEW1` is the first member that was added. */
interface Step {
  readonly args: readonly string[];
  readonly code?: 1 | 2;
}

const startOurs = () => startLogstore({ folder: temporaryFolder("members"), args: FLAGS });
const runEtcdctl = (args: readonly string[], endpoint: string) => etcdctl(args, { endpoint });
const runLogctl = async (args: readonly string[], endpoint: string) => {
  const result = await logctl(args, { endpoint });
  return { ...result, stdout: result.stdout.toString("utf8") };
};

suite("logctl changes members as etcdctl does", () => {
  const stores: AsyncDisposable[] = [];
  const sides: Side[] = [];

  before(async () => {
    for (const [name, run, start] of [
      ["etcdctl on etcd", runEtcdctl, () => startEtcd({ args: FLAGS })],
      ["logctl on etcd", runLogctl, () => startEtcd({ args: FLAGS })],
      ["etcdctl on logstore", runEtcdctl, startOurs],
      ["logctl on logstore", runLogctl, startOurs],
    ] as const) {
      const store = await start();
      stores.push(store);
      sides.push({ name, endpoint: store.endpoint, run, added: [] });
    }
  });
  after(async () => {
    for (const store of stores) await store[Symbol.asyncDispose]();
  });

  const STEPS: readonly Step[] = [
    { args: ["member", "add", "two", "--peer-urls=http://two:2380,http://two:2381", "--learner"] },
    { args: ["member", "list"] },
    { args: ["member", "list", "-w", "json"] },
    { args: ["member", "list", "-w", "json", "--hex"] },
    { args: ["member", "list", "-w", "fields"] },
    { args: ["member", "list", "-w", "table"] },
    { args: ["member", "add", "three", "--peer-urls=http://three:2380", "--learner"] },
    { args: ["member", "add", "three", "--peer-urls=http://two:2380"] },
    { args: ["member", "promote", "$NEW1"] },
    { args: ["member", "promote", "1234"] },
    { args: ["member", "promote", FIRST] },
    { args: ["member", "update", "$NEW1", "--peer-urls=http://zwei:2380"] },
    { args: ["member", "update", "$NEW1", "--peer-urls=http://drei:2380", "-w", "json"] },
    { args: ["member", "update", "$NEW1", `--peer-urls=${PEER_URL}`] },
    { args: ["member", "update", "1234", "--peer-urls=http://zwei:2380"] },
    { args: ["member", "remove", FIRST] },
    { args: ["member", "remove", "1234"] },
    { args: ["member", "remove", "$NEW1"] },
    { args: ["member", "remove", "$NEW1"] },
    { args: ["member", "add", "t", "--peer-urls=http://t:2380", "--learner", "-w", "json"] },
    { args: ["member", "remove", "$NEW2", "-w", "json", "--hex"] },
    { args: ["member", "add", "u", "--peer-urls=http://u:2380", "--learner", "-w", "json", "--hex"] },
    { args: ["member", "remove", "$NEW3", "-w", "json"] },
    { args: ["member", "add", "v", "--peer-urls=ftp://v:1"] },
    { args: ["member", "add", "v", "--peer-urls=http://v"] },
    { args: ["move-leader", FIRST] },
    { args: ["move-leader", FIRST, "-w", "json"] },
    { args: ["move-leader", "1234"] },
    { args: ["member", "add"], code: 2 },
    { args: ["member", "add", "a", "http://a:1", "HTTP://b:1"], code: 2 },
    { args: ["member", "add", "a"], code: 2 },
    { args: ["member", "remove"], code: 2 },
    { args: ["member", "remove", "zz"], code: 2 },
    { args: ["member", "remove", "11111111111111111"], code: 2 },
    { args: ["member", "update", FIRST], code: 2 },
    { args: ["member", "update"], code: 2 },
    { args: ["member", "promote", "1", "2"], code: 2 },
    { args: ["move-leader"], code: 2 },
    { args: ["move-leader", "zz"], code: 2 },
    // Last, because a second voter that is not there takes the quorum with it.
    { args: ["member", "add", "voter", "--peer-urls=http://voter:2380"] },
  ];

  for (const [position, step] of STEPS.entries()) {
    test(`${position + 1}: ${step.args.join(" ")}`, async () => {
      const [expected, ...others] = await Promise.all(sides.map((side) => runStep(side, step)));
      assert.ok(expected !== undefined && !expected.stderr.includes("goroutine"), expected?.stderr);
      for (const [index, actual] of others.entries()) {
        const side = sides[index + 1];
        const code: number | null = side?.run === runLogctl ? (step.code ?? expected.code) : expected.code;
        assert.deepEqual(actual, { ...expected, code }, side?.name);
      }
    });
  }

  async function runStep({ endpoint, run, added }: Side, { args }: Step): Promise<Result> {
    const words = args.map((arg) => arg.replace(/\$NEW(\d+)/, (_, n) => added[Number(n) - 1] ?? "none"));
    const { code, stdout, stderr } = await run(words, endpoint);
    const id = newId(stdout);
    if (id !== undefined) added.push(id);
    const same = (text: string) => withoutIds(normalized(text, { endpoint, leases: [] }), added);
    // Lines of JSON on stderr are etcdctl's own log of its connection.
    return { code, stdout: same(stdout), stderr: same(stderr.replace(/^\{.*\}\n/gm, "")) };
  }
});

/** Of the member that an output says was added. */
function newId(stdout: string): string | undefined {
  const said = /^Member +([0-9a-f]+) added/.exec(stdout)?.[1];
  if (said !== undefined) return said;
  const inHex = /"member":\{"ID":"([0-9a-f]+)"/.exec(stdout)?.[1];
  const inDecimal = /"member":\{"ID":(\d+)/.exec(stdout)?.[1];
  return inHex ?? (inDecimal === undefined ? undefined : BigInt(inDecimal).toString(16));
}

/** Ids of added members depend on when that was. */
function withoutIds(text: string, ids: readonly string[]): string {
  let same = text;
  for (const [index, id] of ids.entries()) {
    same = same.replaceAll(id, `NEW${index + 1}`).replaceAll(BigInt(`0x${id}`).toString(), `NEW${index + 1}`);
  }
  // A table is as wide as what is in it, and an id that is now and then a digit shorter has a space before it.
  return same.replace(/[─ ]+/g, " ");
}

function tokenOfSmallId(): string {
  for (let number = 0; ; number++) {
    const id = memberId([PEER_URL], `token-${number}`);
    // The cluster's id has all its digits, so that no id here stands in another.
    if (id < 2n ** 50n && clusterId([id]) > 2n ** 60n) return `token-${number}`;
  }
}
