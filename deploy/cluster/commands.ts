import { nearestHint } from "../../conf/nearest.ts";
import { drawTable } from "../../ctl/format/table.ts";
import { StoreClient } from "../../store/client/client.ts";
import type { StatusResult } from "../../store/client/results.ts";
import type { LocalCluster } from "./local-cluster.ts";
import type { LocalMember } from "./local-member.ts";

/** A command that makes no sense as it was typed. */
export class CommandProblem extends Error {}

interface Command {
  /** Names what follows the verb: a member, or nothing. */
  readonly takes: "member" | "nothing";
  readonly help: string;
  /** Resolves with what is to be said. */
  readonly run: (cluster: LocalCluster, member: LocalMember) => Promise<string>;
}

const MOVE_TIMEOUT_MS = 10_000;
/** An election with the default timeouts takes one to two seconds: a command that comes meanwhile waits for it. */
const ELECTION_WAIT_MS = 5_000;

const COMMANDS: Readonly<Record<string, Command>> = {
  status: {
    takes: "nothing",
    help: "every member, as it answers for itself",
    run: (cluster) => statusTable(cluster),
  },
  leader: { takes: "nothing", help: "who leads", run: sayLeader },
  kill: {
    takes: "member",
    help: "SIGKILL: as a crash, or the loss of its machine",
    run: async (_, member) => {
      mustRun(member);
      await member.kill();
      return `${member.name} is killed; restart ${member.name} starts it on its data`;
    },
  },
  stop: {
    takes: "member",
    help: "SIGTERM: it ends cleanly",
    run: async (_, member) => {
      mustRun(member);
      const exit = await member.stop();
      return `${member.name} has stopped (${exit?.signal ?? `exit code ${exit?.code}`}); restart ${member.name} starts it on its data`;
    },
  },
  pause: {
    takes: "member",
    help: "SIGSTOP: as a machine that hangs; it keeps its connections and answers nobody",
    run: async (_, member) => {
      mustBe(member, "running");
      member.pause();
      return `${member.name} is paused; resume ${member.name} lets it go on`;
    },
  },
  resume: {
    takes: "member",
    help: "SIGCONT: a paused member goes on",
    run: async (_, member) => {
      mustBe(member, "paused");
      member.resume();
      return `${member.name} goes on`;
    },
  },
  restart: {
    takes: "member",
    help: "stops it, if it runs, and starts it on its data",
    run: restart,
  },
  "move-leader": {
    takes: "member",
    help: "makes a member the leader",
    run: moveLeader,
  },
};
const ENDING = ["quit", "exit"];
const VERBS = [...Object.keys(COMMANDS), "help", "quit"];

/**
 * Does what a line says, and resolves with what is to be said about it; "quit" is for the caller to do. Throws
 * {@link CommandProblem} for a line that makes no sense, and what the members answer.
 */
export async function runCommand(line: string, cluster: LocalCluster): Promise<string | "quit"> {
  const [verb = "", name, ...rest] = line.trim().split(/\s+/);
  if (verb === "") return "";
  if (verb === "help") return helpText(cluster);
  if (ENDING.includes(verb)) return "quit";
  const command = Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined;
  if (command === undefined) throw new CommandProblem(`Unknown command "${verb}"${nearestHint(verb, VERBS)}`);
  const surplus = command.takes === "nothing" && name !== undefined ? name : rest[0];
  if (surplus !== undefined) throw new CommandProblem(`${verb} does not take "${surplus}"`);
  return command.run(cluster, await memberOf(cluster, command, verb, name));
}

async function memberOf(
  cluster: LocalCluster,
  { takes }: Command,
  verb: string,
  name: string | undefined,
): Promise<LocalMember> {
  const names = cluster.members.map((member) => member.name);
  const [first] = cluster.members;
  if (takes === "nothing" && first !== undefined) return first;
  if (name === undefined) throw new CommandProblem(`${verb} needs a member: ${names.join(", ")}, or leader`);
  const member =
    name === "leader" ? await leaderSoon(cluster) : cluster.members.find((one) => one.name === name);
  if (member !== undefined) return member;
  throw new CommandProblem(
    name === "leader"
      ? "There is no leader"
      : `There is no member "${name}"; the members are ${names.join(", ")}`,
  );
}

function mustRun({ name, state }: LocalMember): void {
  if (state === "stopped") throw new CommandProblem(`${name} does not run; restart ${name} starts it`);
}

function mustBe({ name, state }: LocalMember, wanted: "running" | "paused"): void {
  if (state !== wanted) throw new CommandProblem(`${name} is ${state}, not ${wanted}`);
}

async function restart(cluster: LocalCluster, member: LocalMember): Promise<string> {
  await member.stop();
  member.spawn();
  const started = `${member.name} runs again, as process ${member.pid}`;
  if (!mayHaveLeader(cluster)) return `${started}; nobody can lead before more than half of the members run`;
  await member.ready();
  return started;
}

function mayHaveLeader({ members }: LocalCluster): boolean {
  return members.filter(({ state }) => state === "running").length * 2 > members.length;
}

/** The leader, or the one that is being elected. */
async function leaderSoon(cluster: LocalCluster): Promise<LocalMember | undefined> {
  if (!mayHaveLeader(cluster)) return undefined;
  return cluster.waitForLeader({ timeoutMs: ELECTION_WAIT_MS }).catch(() => undefined);
}

async function sayLeader(cluster: LocalCluster): Promise<string> {
  const leader = await leaderSoon(cluster);
  if (leader !== undefined) return `${leader.name} leads (${leader.clientUrl})`;
  const running = cluster.members.filter(({ state }) => state === "running").length;
  return `There is no leader: ${running} of ${cluster.members.length} members run, and more than half are needed`;
}

async function moveLeader(cluster: LocalCluster, member: LocalMember): Promise<string> {
  const [leader, target] = [await leaderSoon(cluster), await member.status()];
  if (leader === undefined) throw new CommandProblem("There is no leader that could be moved");
  if (target === undefined) throw new CommandProblem(`${member.name} does not answer`);
  if (leader === member) return `${member.name} leads already`;
  using client = StoreClient.create({ endpoints: [leader.clientUrl] });
  await client.cluster.moveLeader(target.header.memberId, { signal: AbortSignal.timeout(MOVE_TIMEOUT_MS) });
  return `${member.name} leads; before it, ${leader.name}`;
}

async function statusTable(cluster: LocalCluster): Promise<string> {
  const rows = await Promise.all(
    cluster.members.map(async (member) => [
      member.name,
      member.state,
      String(member.pid ?? ""),
      member.clientUrl,
      ...statusCells(member, await member.status()),
    ]),
  );
  const header = [
    "member",
    "state",
    "pid",
    "endpoint",
    "id",
    "role",
    "term",
    "index",
    "applied",
    "db size",
    "errors",
  ];
  return drawTable({ header, rows }).trimEnd();
}

function statusCells({ state }: LocalMember, status: StatusResult | undefined): string[] {
  if (status === undefined) return ["", state === "running" ? "does not answer" : "", "", "", "", "", ""];
  const { header, leader, isLearner } = status;
  const follower = isLearner ? "learner" : leader === 0n ? "knows no leader" : "follower";
  return [
    header.memberId.toString(16),
    leader === header.memberId ? "leader" : follower,
    String(status.raftTerm),
    String(status.raftIndex),
    String(status.raftAppliedIndex),
    `${Math.round(status.dbSize / 1024)} KiB`,
    status.errors.join("; "),
  ];
}

function helpText({ members }: LocalCluster): string {
  const names = members.map(({ name }) => name).join("|");
  const lines = Object.entries(COMMANDS).map(([verb, { takes, help }]) => {
    return `  ${`${verb}${takes === "member" ? " MEMBER" : ""}`.padEnd(20)} ${help}`;
  });
  return [
    ...lines,
    `  ${"quit".padEnd(20)} stops all members and ends, as does Ctrl-C`,
    `MEMBER: ${names}, or leader`,
  ].join("\n");
}
