import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { AgentStatus } from "../../conf/agent-status.ts";
import { checkKnownFields, isConfigKey, statusKeyOf } from "../../ctl/fleet/check-config.ts";
import { type AgentReport, fleetReport } from "../../ctl/fleet/report.ts";
import { agentFields, agentJson, agentRows } from "../../ctl/format/agent-rows.ts";
import { goJson } from "../../ctl/format/go-json.ts";
import { drawTable } from "../../ctl/format/table.ts";
import type { KeyValue } from "../../store/client/types.ts";

const NOW_MS = Date.UTC(2026, 0, 2, 3, 5, 10);

const status = (config: AgentStatus["config"], more: Partial<AgentStatus> = {}): AgentStatus => ({
  version: "1.2.3",
  ip: "10.0.0.1",
  startedAt: "2026-01-02T03:04:05.000Z",
  asOf: "2026-01-02T03:05:05.400Z",
  config,
  totals: {
    tasks: 2,
    files: 3,
    bytesRead: 500,
    bytesAcked: 400,
    linesAcked: 4,
    bytesBehind: 1_234_567,
    bytesLost: 0,
    oldestUnackedAgeMs: 1_500.4,
  },
  worst: [],
  knownFields: ["path", "topic"],
  flags: [],
  ...more,
});

const kv = (key: string, value: unknown, modRevision: number): KeyValue => ({
  key: Buffer.from(key),
  value: Buffer.from(typeof value === "string" ? value : JSON.stringify(value)),
  createRevision: 1,
  modRevision,
  version: 1,
  lease: 0n,
});

const only = (kvs: readonly KeyValue[]): AgentReport => {
  const list = fleetReport("/logagent", kvs, NOW_MS);
  assert.equal(list.length, 1);
  return list[0] ?? assert.fail("no agent");
};

suite("fleetReport()", () => {
  test("an agent with a config and no status is absent", () => {
    const agent = only([kv("/logagent/10.0.0.1/collect_config", "[]", 7)]);
    assert.deepEqual(
      [agent.id, agent.state, agent.configRevision, agent.configState, agent.status],
      ["10.0.0.1", "absent", 7, "unknown", undefined],
    );
  });

  test("tells what became of the newest config", () => {
    const state = (config: AgentStatus["config"], revision: number | undefined) => {
      const keys = [kv("/logagent/a/status", status(config), 20)];
      if (revision !== undefined) keys.push(kv("/logagent/a/collect_config", "[]", revision));
      return only(keys).configState;
    };
    assert.equal(state({ applied: 7 }, 7), "applied");
    assert.equal(state({ applied: 7 }, 9), "waiting");
    assert.equal(state({ applied: 7, failed: { revision: 9, reason: "bad" } }, 9), "refused");
    assert.equal(state({ applied: 7, failed: { revision: 9, reason: "bad" } }, 10), "waiting");
    assert.equal(state({ applied: 0 }, undefined), "none");
  });

  test("problems are the refusal, the flags and what tasks complain of", () => {
    const worst = [
      {
        path: "/var/log/a.log",
        topic: "t",
        state: "waiting" as const,
        bytesBehind: 5,
        problems: ["cannot open"],
      },
    ];
    const value = status(
      { applied: 7, failed: { revision: 9, reason: "not JSON" } },
      { worst, flags: ["f"] },
    );
    assert.deepEqual(only([kv("/logagent/a/status", value, 20)]).problems, [
      "revision 9 refused: not JSON",
      "f",
      "/var/log/a.log: cannot open",
    ]);
  });

  test("the newest loss stands before what tasks complain of", () => {
    const task = { path: "/a.log", topic: "t", state: "running", bytesBehind: 0, problems: ["cannot open"] };
    const loss = {
      path: "/b.log",
      from: 3,
      to: 10,
      reason: "rewritten in place",
      at: "2026-01-01T00:00:00.000Z",
    };
    const problems = (losses: AgentStatus["losses"]) =>
      only([kv("/logagent/a/status", status({ applied: 7 }, { worst: [task], losses }), 20)]).problems;
    assert.deepEqual(problems([loss, { ...loss, path: "/older.log" }]), [
      "lost 7 bytes of /b.log: rewritten in place, noticed 2026-01-01T00:00:00.000Z (logagent audit tells all)",
      "/a.log: cannot open",
    ]);
    assert.match(
      problems([{ ...loss, to: "unknown" }])[0] ?? "",
      /^lost what \/b\.log had behind byte 3, if anything: rewritten in place, noticed 2026/,
    );
    assert.deepEqual(problems([]), ["/a.log: cannot open"]);
  });

  test("losses show in their column, also those of unknown extent", () => {
    const { totals } = status({ applied: 7 });
    const cell = (losses: Partial<AgentStatus["totals"]>) => {
      const value = status({ applied: 7 }, { totals: { ...totals, ...losses } });
      const { header, rows } = agentRows([only([kv("/logagent/a/status", value, 20)])], { isTerminal: true });
      return rows[0]?.[header.indexOf("lost")];
    };
    assert.equal(cell({}), "0 B");
    assert.equal(cell({ bytesLost: 1_234, lossesUnknown: 0 }), "1.2 kB");
    assert.equal(cell({ lossesUnknown: 3 }), "0 B + 3 unknown");
  });

  test("a task without a file is named last", () => {
    const task = { topic: "t", bytesBehind: 0, problems: [] };
    const worst = [
      { ...task, path: "/typo.log", state: "waiting for file" },
      { ...task, path: "/a.log", state: "running", problems: ["cannot open"] },
    ];
    assert.deepEqual(only([kv("/logagent/a/status", status({ applied: 7 }, { worst }), 20)]).problems, [
      "/a.log: cannot open",
      "/typo.log: waiting for file",
    ]);
  });

  test("the age of the figures is told, and is never below zero", () => {
    const age = (asOf: string) =>
      only([kv("/logagent/a/status", status({ applied: 7 }, { asOf }), 20)]).ageMs;
    assert.equal(age("2026-01-02T03:05:05.400Z"), 4_600);
    assert.equal(age("2026-01-02T04:00:00.000Z"), 0);
    const { asOf: _, ...older } = status({ applied: 7 });
    assert.equal(only([kv("/logagent/a/status", older, 20)]).ageMs, undefined);
  });

  test("a second agent with the same identity is a row, and a problem of the first", () => {
    const instance = { id: "b2", host: "web-2", pid: 9 };
    const list = fleetReport(
      "/logagent",
      [
        kv("/logagent/a/status", status({ applied: 7 }), 20),
        kv("/logagent/a/status/b2", status({ applied: 7 }, { instance, flags: ["identity-conflict"] }), 21),
      ],
      NOW_MS,
    );
    assert.deepEqual(
      list.map((agent) => [agent.id, agent.state, agent.problems]),
      [
        ["a", "alive", ["another agent (host web-2, pid 9) has the same identity, set ip: on one of them"]],
        ["a", "duplicate", ["identity-conflict"]],
      ],
    );
  });

  test("a status that can't be read is a problem, not a crash", () => {
    const broken = only([kv("/logagent/a/status", "{", 20)]);
    assert.equal(broken.state, "alive");
    assert.match(broken.problems[0] ?? "", /^Cannot read its status: /);
    const other = only([kv("/logagent/a/status", { ...status({ applied: 1 }), ip: 5 }, 20)]);
    assert.match(other.problems[0] ?? "", /^Cannot read its status: ip: /);
  });

  test("fields of a newer agent do no harm, and other keys are left out", () => {
    const newer = { ...status({ applied: 1 }), temperature: 21 };
    const list = fleetReport(
      "/logagent/",
      [
        kv("/logagent/b/status", newer, 20),
        kv("/logagent/a/collect_config", "[]", 20),
        kv("/logagent/a/something", "", 20),
        kv("/logagent/a/b/status", "", 20),
        kv("/logagent//status", "", 20),
        kv("/logagent/a/collect_config/x", "", 20),
      ],
      NOW_MS,
    );
    assert.deepEqual(
      list.map((agent) => [agent.id, agent.state]),
      [
        ["a", "absent"],
        ["b", "alive"],
      ],
    );
  });
});

suite("the formats of agents", () => {
  const list = fleetReport(
    "/logagent",
    [
      kv("/logagent/10.0.0.1/collect_config", "[]", 9),
      kv(
        "/logagent/10.0.0.1/status",
        status({ applied: 7, failed: { revision: 9, reason: "not\nJSON" } }),
        20,
      ),
      kv("/logagent/10.0.0.2/collect_config", "[]", 8),
    ],
    NOW_MS,
  );

  test("agentRows() fit on a screen", () => {
    assert.equal(
      drawTable(agentRows(list, { isTerminal: true })),
      [
        "┌──────────┬────────┬─────────┬───────────────────┬───────┬───────┬────────┬────────────────┬──────┬─────┬──────────────────────────────┐",
        "│  AGENT   │ STATE  │ VERSION │      CONFIG       │ TASKS │ FILES │ BEHIND │ OLDEST UNACKED │ LOST │ AGE │           PROBLEMS           │",
        "├──────────┼────────┼─────────┼───────────────────┼───────┼───────┼────────┼────────────────┼──────┼─────┼──────────────────────────────┤",
        "│ 10.0.0.1 │  alive │   1.2.3 │ 9 refused, 7 runs │     2 │     3 │ 1.2 MB │           1.5s │  0 B │  5s │ revision 9 refused: not JSON │",
        "│ 10.0.0.2 │ absent │         │                 8 │       │       │        │                │      │     │                              │",
        "└──────────┴────────┴─────────┴───────────────────┴───────┴───────┴────────┴────────────────┴──────┴─────┴──────────────────────────────┘",
        "",
      ].join("\n"),
    );
  });

  test("agentRows() cut problems for a screen, and for nothing else", () => {
    const long = `revision 9 refused: ${"x".repeat(300)}`;
    const [agent = assert.fail()] = list.map((one) => ({ ...one, problems: [long] }));
    const cell = (isTerminal: boolean) => agentRows([agent], { isTerminal }).rows[0]?.at(-1) ?? "";
    assert.equal(cell(true).length, 100);
    assert.equal(cell(false), long);
  });

  test("agentJson() has all of it, and is JSON", () => {
    const [first, second] = list.map((agent) => JSON.parse(goJson(agentJson(agent))));
    assert.equal(first.status.totals.bytesBehind, 1_234_567);
    assert.deepEqual(first.problems, ["revision 9 refused: not\nJSON"]);
    assert.deepEqual(second, {
      agent: "10.0.0.2",
      state: "absent",
      configState: "unknown",
      configRevision: 8,
      problems: [],
    });
  });

  test("agentFields() name each figure", () => {
    const fields = Object.fromEntries(agentFields(list[0] ?? assert.fail()));
    assert.equal(fields.BytesBehind, 1_234_567);
    assert.equal(fields.ConfigState, "refused");
  });
});

suite("the check of a collect config", () => {
  test("isConfigKey() and statusKeyOf() go by the last name of the key", () => {
    assert.equal(isConfigKey("/logagent/10.0.0.1/collect_config"), true);
    assert.equal(isConfigKey("/logagent/10.0.0.1/collect_config/x"), false);
    assert.equal(isConfigKey("collect_config"), false);
    assert.equal(statusKeyOf("/logagent/a/collect_config"), "/logagent/a/status");
  });

  test("checkKnownFields() refuses a field that the agent lacks, and names the nearest", () => {
    const agent = { ip: "10.0.0.1", version: "0.1.0", knownFields: ["path", "topic", "from"] };
    const value = (entry: object) => Buffer.from(JSON.stringify([{ path: "/a", topic: "t" }, entry]));
    checkKnownFields(value({ path: "/b", topic: "t", from: "end" }), agent);
    assert.throws(() => checkKnownFields(value({ path: "/b", topic: "t", form: "end" }), agent), {
      message:
        'entry 2 has the field "form", which agent 10.0.0.1 (version 0.1.0) does not know, did you mean "from"?',
    });
  });
});
