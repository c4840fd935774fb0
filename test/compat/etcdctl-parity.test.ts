import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { memberId } from "../../store/membership/member-id.ts";
import { idText } from "../../store/raft/id-text.ts";
import type { RunningProcess } from "../support/process.ts";
import { BothStores, normalized, PEER_URL, type Step } from "./both-stores.ts";

/**
 * The same commands of the real etcdctl against the real etcd and against logstore: exit code, stdout and error must be the
 * same. The table is in order, and the stores keep their state from one test to the next.
 */
let both: BothStores;
before(async () => {
  both = await BothStores.start();
});
after(() => both[Symbol.asyncDispose]());

const ONLY_MEMBER = memberId([PEER_URL], "etcd-cluster");

const step = (...args: string[]): Step => ({ args });

const TABLE: Readonly<Record<string, readonly Step[]>> = {
  put: [
    step("put", "a", "1"),
    step("put", "a", "2", "--prev-kv"),
    step("put", "a", "3", "--prev-kv", "-w", "json"),
    step("put", "b", "value of b", "-w", "fields"),
    step("put", "a", "--ignore-value"),
    step("put", "a", "4", "--ignore-lease"),
    step("put", "missing", "--ignore-value"),
    step("put", "a", "5", "--lease=123456"),
    { args: ["put", "from-stdin"], stdin: "line 1\nline 2\n" },
    step("put", "", "x"),
    step("put", "ä key", "ünïcode ✓"),
  ],
  get: [
    ...["c1", "c2", "c3", "d"].map((key, index) => step("put", key, `value ${3 - index}`)),
    step("put", "c2", "value 9"),
    step("get", "a"),
    step("get", "a", "-w", "json"),
    step("get", "a", "-w", "fields"),
    step("get", "missing"),
    step("get", "missing", "-w", "json"),
    step("get", "a", "--print-value-only"),
    step("get", "c", "--prefix", "-w", "json"),
    step("get", "", "--prefix", "--keys-only"),
    step("get", "", "--from-key", "--count-only", "-w", "fields"),
    step("get", "c2", "--from-key"),
    step("get", "c1", "c3"),
    step("get", "c", "--prefix", "--limit=2", "-w", "json"),
    step("get", "c", "--prefix", "--stream"),
    ...["KEY", "VERSION", "CREATE", "MODIFY", "VALUE"].flatMap((target) =>
      ["ASCEND", "DESCEND"].map((order) =>
        step("get", "c", "--prefix", `--sort-by=${target}`, `--order=${order}`),
      ),
    ),
    step("get", "c", "--prefix", "--order=DESCEND", "--limit=1"),
    step("get", "a", "--rev=3", "-w", "json"),
    step("get", "a", "--rev=1"),
    step("get", "a", "--rev=99999"),
    step("get", "a", "--consistency=s", "-w", "json"),
    step("get", "c", "--prefix", "--min-mod-rev=10", "-w", "json"),
    step("get", "c", "--prefix", "--max-create-rev=9", "-w", "json"),
    step("get", ""),
  ],
  del: [
    step("del", "c1"),
    step("del", "c1"),
    step("del", "c2", "--prev-kv"),
    step("del", "c", "--prefix", "--prev-kv", "-w", "json"),
    step("del", "d", "e"),
    step("put", "x1", "1"),
    step("put", "x2", "2"),
    step("del", "x", "--prefix", "-w", "fields"),
    step("del", ""),
  ],
  txn: [
    { args: ["txn"], stdin: 'value("a") = "4"\n\nput t 1\nget t\ndel b\n\nget zz\n\n' },
    {
      args: ["txn", "-w", "json"],
      stdin: 'version("t") > "0"\ncreate("t") > "1"\nmod("t") < "999"\n\nget t\n\n\n',
    },
    { args: ["txn"], stdin: 'version("missing") = "0"\n\nput made 1\n\nget made\n\n' },
    { args: ["txn"], stdin: 'value("missing") = "x"\n\nput never 1\n\nput t 2\nget t\n\n' },
    { args: ["txn", "-w", "json"], stdin: 'value("t") != "9"\n\nput t 3 --prev-kv\n\n\n' },
    { args: ["txn", "-w", "fields"], stdin: "\n\nput t 4\ndel made\n\n\n" },
    { args: ["txn"], stdin: "\n\nput dup 1\nput dup 2\n\n\n" },
    { args: ["txn"], stdin: "\n\nput dup 1\ndel dup\n\n\n" },
    { args: ["txn"], stdin: `\n\n${Array.from({ length: 129 }, (_, n) => `put many${n} 1\n`).join("")}\n\n` },
    { args: ["txn"], stdin: "\n\nput with-lease 1 --lease=123\n\n\n" },
    step("get", "", "--prefix", "-w", "json"),
  ],
  // Before any lease: ids that the stores chose are part of what HashKV hashes.
  compaction: [
    step("compaction", "4"),
    step("compaction", "3"),
    step("compaction", "99999"),
    step("compaction", "8", "--physical"),
    step("get", "a", "--rev=7"),
    step("get", "a", "--rev=8", "-w", "json"),
    step("get", "", "--prefix", "-w", "json"),
    step("endpoint", "hashkv", "-w", "json"),
    step("endpoint", "hashkv", "--rev=9", "-w", "json"),
    step("endpoint", "hashkv", "--rev=5"),
    // What the compaction hashed, which both remember.
    step("endpoint", "hashkv", "--rev=8", "-w", "json"),
  ],
  lease: [
    step("lease", "grant", "300"),
    step("lease", "timetolive", "$LEASE1"),
    step("put", "leased1", "1", "--lease=$LEASE1"),
    step("put", "leased2", "2", "--lease=$LEASE1"),
    step("get", "leased", "--prefix", "-w", "json"),
    { args: ["lease", "timetolive", "$LEASE1", "--keys"], normalize: sortAttachedKeys },
    step("lease", "list"),
    step("lease", "list", "-w", "json"),
    step("lease", "keep-alive", "--once", "$LEASE1"),
    step("lease", "keep-alive", "--once", "12345678"),
    step("lease", "timetolive", "12345678"),
    step("lease", "timetolive", "12345678", "-w", "json"),
    step("put", "leased2", "3"),
    step("lease", "timetolive", "$LEASE1", "--keys"),
    step("lease", "revoke", "$LEASE1"),
    step("lease", "revoke", "$LEASE1"),
    step("get", "leased", "--prefix", "-w", "json"),
    step("lease", "list"),
    step("lease", "grant", "0"),
    step("lease", "grant", "9999999999"),
  ],
  "member and endpoint": [
    step("member", "list"),
    step("member", "list", "-w", "table"),
    step("member", "list", "-w", "json"),
    step("member", "list", "-w", "fields"),
    step("endpoint", "health"),
    step("endpoint", "health", "-w", "json"),
    { args: ["endpoint", "health", "-w", "table"], normalize: columnsOf },
    { args: ["endpoint", "status"], normalize: withoutSizes },
    { args: ["endpoint", "status", "-w", "json"], normalize: withoutSizes },
    { args: ["endpoint", "status", "-w", "fields"], normalize: withoutSizes },
    { args: ["endpoint", "status", "-w", "table"], normalize: columnsOf },
    // The last member stays, and a cluster of one that has started takes a second one only by its own URL.
    step("member", "remove", idText(ONLY_MEMBER)),
    step("member", "remove", "1234"),
    step("member", "promote", idText(ONLY_MEMBER)),
    step("member", "update", "1234", "--peer-urls=http://elsewhere.example:2380"),
    step("member", "add", "one", `--peer-urls=${PEER_URL}`),
    step("member", "list"),
  ],
  maintenance: [
    step("alarm", "list"),
    step("alarm", "list", "-w", "json"),
    step("alarm", "disarm"),
    step("defrag"),
    step("move-leader", "1234"),
    step("auth", "status"),
    // 3.6 is the one target that etcd accepts, and that it has an older format for.
    ...[
      "3.7",
      "3.5",
      "4.0.0",
      "3.5.1-rc.1+build",
      "3",
      "3.x",
      "v3.6",
      "3.5.0-",
      "3.5.0-a..b",
      "99999999999999999999.0",
    ].flatMap((version) => [step("downgrade", "validate", version), step("downgrade", "enable", version)]),
    step("downgrade", "cancel"),
    step("downgrade", "cancel", "-w", "json"),
    step("--user=root:secret", "get", "a"),
  ],
  "locks and elections, which clients build on leases": [
    step("lock", "a-lock", "echo", "held"),
    step("get", "a-lock", "--prefix", "--count-only", "-w", "json"),
  ],
  "a request that is too large": [
    { args: ["put", "large"], stdin: "x".repeat(1_600_000) },
    { args: ["put", "large"], stdin: "x".repeat(1_500_000) },
    step("del", "large"),
  ],
};

for (const [name, steps] of Object.entries(TABLE)) {
  test(`etcdctl ${name} says the same`, async () => {
    for (const each of steps) await both.compare(each);
  });
}

const WATCHES: readonly (readonly string[])[] = [
  ["watch", "w", "--prefix", "--rev=$FROM"],
  ["watch", "w", "--prefix", "--rev=$FROM", "--prev-kv", "-w", "json"],
  ["watch", "w", "x", "--rev=$FROM", "-w", "fields"],
  ["watch", "--prefix", "", "--rev=$FROM", "--progress-notify"],
];

test("etcdctl watch says the same: history, then what comes", async () => {
  const from = await nextRevision();
  const running = await Promise.all(
    WATCHES.map((args) => both.follow(args.map((arg) => arg.replace("$FROM", String(from))))),
  );
  try {
    for (const args of [
      ["put", "w1", "1"],
      ["put", "w1", "2"],
      ["put", "w2", "1"],
      ["del", "w1"],
      ["del", "w", "--prefix"],
      ["put", "w-end", "sentinel"],
    ]) {
      await both.compare({ args });
    }
    for (const [expected, actual] of running) {
      assert.ok(expected && actual);
      // "sentinel" as text, or in base64 as JSON has it.
      await Promise.all([expected, actual].map((process) => process.waitForLine(/sentinel|c2VudGluZWw=/)));
      assert.equal(sameOutput(actual), sameOutput(expected));
      assert.ok(actual.output().split("\n").length > 6, actual.output());
    }
  } finally {
    await Promise.all(running.flat().map((process) => process.kill()));
  }
});

test("etcdctl watch from a compacted revision says the same", async () => {
  const running = await both.follow(["watch", "w1", "--rev=2"]);
  const exits = await Promise.all(running.map(({ exited }) => exited));
  const [expected, actual] = running.map((process) => process.output().replace(/^\{.*\}\n/gm, ""));
  assert.deepEqual(exits[1], exits[0]);
  assert.equal(actual, expected);
  assert.match(actual ?? "", /required revision has been compacted/);
});

function sameOutput(process: RunningProcess): string {
  return normalized(process.output(), { endpoint: "none", leases: [] });
}

async function nextRevision(): Promise<number> {
  const { etcdctl } = await import("../support/etcd.ts");
  const { stdout } = await etcdctl(["get", "a", "-w", "json"], { endpoint: both.endpoints[1] });
  return JSON.parse(stdout).header.revision + 1;
}

/** etcd lists a lease's keys in no order. */
function sortAttachedKeys(text: string): string {
  return text.replace(
    /attached keys\(\[(.*)\]\)/,
    (_, keys: string) => `keys ${keys.split(" ").sort().join(" ")}`,
  );
}

/**
 * Sizes of the file and the count of log entries are of the implementation: etcd's log begins with its own membership and
 * version entries, and its file has bbolt's page size.
 */
function withoutSizes(text: string): string {
  return text
    .replaceAll(/"(dbSize|dbSizeInUse|raftIndex|raftAppliedIndex)":\d+/g, '"$1":N')
    .replaceAll(/"(DBSize|DBSizeInUse|RaftIndex|RaftAppliedIndex)" : \d+/g, '"$1" : N')
    .replaceAll(/, \d+(\.\d+)? [kMG]?B, \d+(\.\d+)? [kMG]?B, -?\d+%, /g, ", SIZE, ")
    .replaceAll(/, \d+, \d+, \d+, , /g, ", TERM, INDEX, INDEX, , ");
}

/** The headings of a table: its widths follow the sizes in it. */
function columnsOf(text: string): string {
  const heading = text.split("\n").find((line) => line.includes("ENDPOINT")) ?? "";
  return heading
    .split("│")
    .map((cell) => cell.trim())
    .join("|");
}
