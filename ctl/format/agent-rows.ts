import type { AgentStatus } from "../../conf/agent-status.ts";
import type { AgentReport } from "../fleet/report.ts";
import { formatBytes, formatDuration } from "../go-text.ts";
import { type Json, omitEmpty } from "./go-json.ts";
import type { Rows } from "./rows.ts";

/** How much of an agent's trouble fits into its row on a screen; a pipe, `-w json` and `-w fields` have all of it. */
const PROBLEM_CHARACTERS_MAX = 100;

export function agentRows(list: readonly AgentReport[], options: { readonly isTerminal: boolean }): Rows {
  return {
    header: [
      "agent",
      "state",
      "version",
      "config",
      "tasks",
      "files",
      "behind",
      "oldest unacked",
      "lost",
      "age",
      "problems",
    ],
    rows: list.map((agent) => {
      const totals = agent.status?.totals;
      return [
        agent.id,
        agent.state,
        agent.status?.version ?? "",
        configCell(agent),
        String(totals?.tasks ?? ""),
        String(totals?.files ?? ""),
        totals === undefined ? "" : formatBytes(totals.bytesBehind),
        totals === undefined ? "" : formatDuration(Math.round(totals.oldestUnackedAgeMs)),
        totals === undefined ? "" : lostCell(totals),
        agent.ageMs === undefined ? "" : formatDuration(Math.round(agent.ageMs / 1000) * 1000),
        problemCell(agent.problems, options),
      ];
    }),
  };
}

export function agentJson(agent: AgentReport): Json {
  const { status } = agent;
  return {
    agent: agent.id,
    state: agent.state,
    configState: agent.configState,
    ...omitEmpty({ configRevision: agent.configRevision }),
    problems: agent.problems,
    ...(status === undefined ? {} : { status: JSON.parse(JSON.stringify(status)) as Json }),
  };
}

export function agentFields(agent: AgentReport): [name: string, value: string | number][] {
  const { status } = agent;
  const figures: [string, string | number][] =
    status === undefined
      ? []
      : [
          ["Version", status.version],
          ["StartedAt", status.startedAt],
          ["AsOf", status.asOf ?? ""],
          ["Instance", status.instance?.id ?? ""],
          ["Host", status.instance?.host ?? ""],
          ["Pid", status.instance?.pid ?? 0],
          ["AppliedRevision", status.config.applied],
          ["FailedRevision", status.config.failed?.revision ?? 0],
          ...Object.entries(status.totals).map(([name, value]): [string, number] => [
            capitalized(name),
            value ?? 0,
          ]),
        ];
  return [
    ["Agent", agent.id],
    ["State", agent.state],
    ["ConfigRevision", agent.configRevision ?? 0],
    ["ConfigState", agent.configState],
    ...figures,
    ...agent.problems.map((problem): [string, string] => ["Problem", problem]),
  ];
}

/** "12 applied"; "13 refused, 12 runs"; "14 waiting, 12 runs"; "none". */
function configCell(agent: AgentReport): string {
  const { configRevision, configState, status } = agent;
  const applied = status?.config.applied ?? 0;
  const runs = applied > 0 ? `, ${applied} runs` : "";
  switch (configState) {
    case "none":
      return "none";
    case "unknown":
      return configRevision === undefined ? "" : String(configRevision);
    case "applied":
      return `${configRevision} applied`;
    case "waiting":
    case "refused":
      return `${configRevision} ${configState}${runs}`;
    default:
      return configState satisfies never;
  }
}

/** "0 B"; "1.2 kB"; "1.2 kB + 3 unknown": of those nobody can say how much it was. */
function lostCell({ bytesLost, lossesUnknown = 0 }: AgentStatus["totals"]): string {
  const unknown = lossesUnknown > 0 ? ` + ${lossesUnknown} unknown` : "";
  return `${formatBytes(bytesLost)}${unknown}`;
}

function problemCell(problems: readonly string[], options: { readonly isTerminal: boolean }): string {
  const text = problems.join("; ").replace(/\s+/g, " ");
  return options.isTerminal && text.length > PROBLEM_CHARACTERS_MAX
    ? `${text.slice(0, PROBLEM_CHARACTERS_MAX - 1)}…`
    : text;
}

function capitalized(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
