import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { normalized } from "../compat/both-stores.ts";
import { startLogstore } from "../compat/logstore.ts";
import { type EtcdServer, etcdctl, startEtcd } from "../support/etcd.ts";
import { temporaryFolder } from "../support/process.ts";
import { logctl } from "./run-logctl.ts";

/** The same on all, so that ids and addresses are too; nobody connects to them. */
const PEER_URL = "http://store.example:2380";
const FLAGS = [
  `--initial-advertise-peer-urls=${PEER_URL}`,
  `--initial-cluster=one=${PEER_URL}`,
  "--advertise-client-urls=http://store.example:2379",
];

interface Step {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** The exit code of logctl where etcdctl's is another one; etcdctl's own number for wrong usage is 128, 3 or 4. */
  readonly code?: 1 | 2;
  /** Left out on logstore: what differs there is the server's answer, not how it is written. */
  readonly onEtcdOnly?: boolean;
}

type Tool = (
  step: Step,
  endpoint: string,
) => Promise<{ code: number | null; stdout: string; stderr: string }>;

/** A tool on a store of its own, and the leases that the store chose. */
interface Side {
  readonly name: string;
  readonly endpoint: string;
  readonly tool: Tool;
  readonly leases: string[];
}

const runEtcdctl: Tool = ({ args, stdin }, endpoint) =>
  etcdctl(args, { endpoint, ...(stdin === undefined ? {} : { stdin }) });

const runLogctl: Tool = async ({ args, stdin }, endpoint) => {
  const { code, stdout, stderr } = await logctl(args, {
    endpoint,
    ...(stdin === undefined ? {} : { stdin }),
  });
  return { code, stdout: stdout.toString("latin1"), stderr };
};

suite("logctl writes what etcdctl writes", () => {
  const stores: AsyncDisposable[] = [];
  const sides: Side[] = [];

  before(async () => {
    const start = async (
      name: string,
      tool: Tool,
      store: AsyncDisposable & { readonly endpoint: string },
    ) => {
      stores.push(store);
      sides.push({ name, endpoint: store.endpoint, tool, leases: [] });
    };
    const etcd = (): Promise<EtcdServer> => startEtcd({ args: FLAGS });
    const latin1: Tool = async (step, endpoint) => {
      const result = await runEtcdctl(step, endpoint);
      // The runner decodes UTF-8, and no step of these has anything else in it.
      return { ...result, stdout: Buffer.from(result.stdout, "utf8").toString("latin1") };
    };
    await start("etcdctl on etcd", latin1, await etcd());
    await start("logctl on etcd", runLogctl, await etcd());
    const folder = temporaryFolder("logstore");
    await start("logctl on logstore", runLogctl, await startLogstore({ folder, args: FLAGS }));
  });
  after(async () => {
    for (const store of stores) await store[Symbol.asyncDispose]();
  });

  /** Runs one step everywhere; all sides must say the same. */
  async function compare(step: Step): Promise<void> {
    const asked = step.onEtcdOnly === true ? sides.slice(0, 2) : sides;
    const [expected, ...others] = await Promise.all(asked.map((side) => runStep(side, step)));
    assert.ok(expected !== undefined && !expected.stderr.includes("goroutine"), expected?.stderr);
    for (const [index, actual] of others.entries()) {
      const wanted: typeof expected = { ...expected, code: step.code ?? expected.code };
      assert.deepEqual(actual, wanted, `${step.args.join(" ")}: ${sides[index + 1]?.name}`);
    }
  }

  async function runStep({ endpoint, tool, leases }: Side, step: Step): Promise<Awaited<ReturnType<Tool>>> {
    const args = step.args.map((arg) =>
      arg.replace(/\$LEASE(\d+)/, (_, n) => leases[Number(n) - 1] ?? "none"),
    );
    const { code, stdout, stderr } = await tool({ ...step, args }, endpoint);
    for (const [, id = ""] of stdout.matchAll(/lease ([0-9a-f]{16}) granted/g)) leases.push(id);
    const same = (text: string) => normalized(text, { endpoint, leases });
    // Lines of JSON on stderr are etcdctl's own log of its connection.
    return { code, stdout: same(stdout), stderr: same(stderr.replace(/^\{.*\}\n/gm, "")) };
  }

  const inEveryFormat = (args: readonly string[]): Step[] =>
    ["simple", "json", "fields"].flatMap((format) => [
      { args: [...args, "-w", format] },
      { args: [...args, "-w", format, "--hex"] },
    ]);

  const TABLE: Readonly<Record<string, readonly Step[]>> = {
    "put and get": [
      { args: ["put", "a", "1"] },
      { args: ["put", "a", "2", "--prev-kv"] },
      { args: ["put", "a", "3", "--prev-kv", "-w", "json"] },
      { args: ["put", "a", "4", "--prev-kv", "-w", "fields"] },
      { args: ["put", "from stdin"], stdin: "line one\nline two\n" },
      { args: ["put", "odd", '<b> & "quoted" \u00e9\u4e16\u{1f600}\u2028\t\u0007\u00a0\u200b\\'] },
      { args: ["put", "--", "-dash", "-v"] },
      { args: ["put", "dash", "--", "-v"] },
      ...inEveryFormat(["get", "a"]),
      ...inEveryFormat(["get", "odd"]),
      ...inEveryFormat(["get", "--prefix", ""]),
      ...inEveryFormat(["get", "not-there"]),
      { args: ["get", "a", "--print-value-only"] },
      { args: ["get", "a", "--keys-only"] },
      { args: ["get", "a", "--prefix=true", "--keys-only=false"] },
      { args: ["get", "a", "-w", "fields", "--count-only"] },
      { args: ["get", "--from-key", "from"] },
      { args: ["get", "a", "odd"] },
      { args: ["get", "--prefix", "", "--order", "descend", "--limit", "2"] },
      { args: ["get", "--prefix", "", "--sort-by", "MODIFY", "--limit", "3", "-w", "json"] },
      { args: ["get", "--prefix", "", "--sort-by=version", "--order=DESCEND", "-w", "json"] },
      { args: ["get", "--prefix", "", "--sort-by=value", "--order=ascend"] },
      { args: ["get", "--prefix", "", "--sort-by=create"] },
      { args: ["get", "--prefix", "", "--min-mod-rev=3", "--max-mod-rev=6", "-w", "json"] },
      { args: ["get", "--prefix", "", "--min-create-rev=3", "--max-create-rev=6", "-w", "json"] },
      { args: ["get", "a", "--rev", "2"] },
      { args: ["get", "a", "--consistency", "s"] },
      { args: ["put", "a", "--ignore-value"] },
      { args: ["put", "a", "5", "--ignore-lease"] },
      { args: ["get", "a", "-w", "json"] },
    ],
    del: [
      ...["1", "2", "3", "4", "5", "6"].map((key) => ({ args: ["put", `d/${key}`, key] })),
      { args: ["del", "d/1"] },
      { args: ["del", "d/1"] },
      { args: ["del", "d/2", "--prev-kv"] },
      { args: ["del", "d/3", "--prev-kv", "-w", "json"] },
      { args: ["del", "d/4", "--prev-kv", "-w", "fields"] },
      { args: ["del", "d/5", "d/6", "--range"] },
      { args: ["del", "d/", "--prefix", "--prev-kv"] },
      { args: ["del", "d/", "--prefix", "-w", "json"] },
    ],
    "members and endpoints": [
      ...inEveryFormat(["member", "list"]),
      { args: ["member", "list", "-w", "table"] },
      { args: ["member", "list", "--consistency", "s"] },
      ...inEveryFormat(["alarm", "list"]),
      { args: ["alarm", "disarm"] },
      { args: ["alarm", "disarm", "-w", "json"] },
      { args: ["endpoint", "health"] },
      { args: ["endpoint", "health", "-w", "json"] },
      { args: ["endpoint", "hashkv"] },
      { args: ["endpoint", "hashkv", "-w", "table"] },
      { args: ["endpoint", "hashkv", "-w", "json"] },
      { args: ["endpoint", "hashkv", "-w", "fields", "--rev", "7"] },
    ],
    txn: [
      { args: ["put", "t1", "one"] },
      ...["simple", "json", "fields"].map((format) => ({
        args: ["txn", "-w", format],
        stdin:
          'mod("t1") > "0"\nval("t1") = "one"\nversion("none") = "0"\ncreate("t1") != "0"\n\n' +
          'put t2 "x \\"y\\"" --prev-kv\nget t1\nget --prefix nothing\nput \'t 3\' four\ndel t4 --prev-kv\n\nput t1 no\n\n',
      })),
      { args: ["txn", "-i"], stdin: 'c("t1") < "0"\n\nput t1 2\n\nget t1\n\n' },
      { args: ["txn"], stdin: "\nput twice 1\nput twice 2\n\n\n", code: 1 },
      { args: ["txn"], stdin: "\nput a 1\n", code: 2 },
      { args: ["txn"], stdin: 'foo("a") > "0"\n\n\n\n', code: 2 },
      { args: ["txn"], stdin: 'mod("a") > "q"\n\n\n\n', code: 2 },
      { args: ["txn"], stdin: "no comparison\n\n\n\n", code: 2 },
      { args: ["txn"], stdin: "\nput\n\n\n", code: 2 },
    ],
    lease: [
      { args: ["lease", "list"] },
      { args: ["lease", "list", "-w", "json"] },
      { args: ["lease", "grant", "100"] },
      { args: ["put", "leased 1", "x", "--lease", "$LEASE1"] },
      ...inEveryFormat(["get", "leased 1"]),
      ...inEveryFormat(["lease", "list"]),
      ...inEveryFormat(["lease", "keep-alive", "--once", "$LEASE1"]),
      { args: ["lease", "timetolive", "$LEASE1"] },
      // With one key: etcd gives several in any order.
      { args: ["lease", "timetolive", "$LEASE1", "--keys"] },
      { args: ["put", "leased 2", "y", "--lease=$LEASE1"] },
      ...inEveryFormat(["lease", "timetolive", "123"]),
      { args: ["lease", "timetolive", "123", "--keys", "-w", "json"] },
      { args: ["put", "a", "1", "--lease", "123"] },
      { args: ["lease", "revoke", "$LEASE1"] },
      { args: ["lease", "revoke", "$LEASE1"] },
      { args: ["lease", "keep-alive", "123"] },
      { args: ["lease", "keep-alive", "--once", "123"], code: 1 },
      { args: ["lease", "grant", "0"] },
      { args: ["lease", "grant", "9999999999"] },
      { args: ["lease", "revoke", "$LEASE2", "-w", "json"] },
      { args: ["get", "leased", "--prefix"] },
    ],
    "what is refused": [
      { args: ["get", ""] },
      { args: ["put", "", "x"] },
      { args: ["get", "a", "--rev", "100000"] },
      { args: ["put", "nothing", "--ignore-value"] },
      { args: ["compaction", "10"] },
      { args: ["compaction", "10"] },
      { args: ["compaction", "100000"] },
      { args: ["get", "a", "--rev", "5"] },
      { args: ["get"], code: 2 },
      { args: ["put"], code: 2 },
      { args: ["put", "a"], code: 2 },
      { args: ["del"], code: 2 },
      { args: ["compaction"], code: 2 },
      { args: ["get", "a", "--prefix", "--from-key"], code: 2 },
      { args: ["get", "a", "b", "--prefix"], code: 2 },
      { args: ["get", "a", "--keys-only", "--count-only"], code: 2 },
      { args: ["get", "a", "--count-only"], code: 2 },
      { args: ["get", "a", "-w", "json", "--print-value-only"], code: 2 },
      { args: ["get", "a", "--order", "up"], code: 2 },
      { args: ["get", "a", "--sort-by", "size"], code: 2 },
      { args: ["get", "a", "--consistency", "x"], code: 2 },
      { args: ["get", "a", "-w", "table"], code: 2 },
      { args: ["put", "a", "1", "--lease", "zz"], code: 2 },
      { args: ["put", "a", "1", "--ignore-value"], code: 2 },
      { args: ["lease", "revoke", "zz"], code: 2 },
      { args: ["lease", "revoke", "11111111111111111111"], code: 2 },
      { args: ["lease", "grant", "x"], code: 2 },
      { args: ["lease", "grant"], code: 2 },
      { args: ["lease", "revoke"], code: 2 },
      { args: ["watch", "a", "b", "--prefix"], code: 2 },
      { args: ["watch", "a", "--rev", "2"], code: 1 },
      // The header of a compaction has no revision in etcd.
      { args: ["watch", "a", "--rev", "2", "-w", "json"], code: 1, onEtcdOnly: true },
    ],
  };

  for (const [name, steps] of Object.entries(TABLE)) {
    test(name, async () => {
      for (const step of steps) await compare(step);
    });
  }
});
