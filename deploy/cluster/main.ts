import { dirname, join, relative, resolve } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CodedError, errorMessage } from "../../base/errors.ts";
import { untilAborted } from "../../base/until-aborted.ts";
import { type ClusterFolder, openClusterFolder } from "./cluster-folder.ts";
import { type ClusterOptions, readClusterOptions, USAGE } from "./cluster-options.ts";
import { CommandProblem, runCommand } from "./commands.ts";
import { LocalCluster } from "./local-cluster.ts";
import type { UnexpectedEnd } from "./local-member.ts";
import { LogFollower } from "./log-follower.ts";
import { readableLine } from "./log-line.ts";
import { Screen } from "./screen.ts";

/**
 * `npm run cluster`: members of a store on this machine, what they log, and commands to hurt them with, from stdin.
 * Runs until `quit`, SIGINT, SIGTERM, SIGHUP or the end of stdin, and leaves no process behind. Exit code 0; 1 when the
 * cluster does not start; 2 for wrong usage.
 */
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DEFAULT_FOLDER = ".cluster";
const PARENT_POLL_MS = 500;
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const options = readClusterOptions(argv);
  if (options === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  if ("problem" in options) {
    process.stderr.write(`${options.problem}\n${USAGE}`);
    return 2;
  }
  const path = resolve(options.folder ?? join(root, DEFAULT_FOLDER));
  try {
    const folder = await openClusterFolder(path, { size: options.size, keeps: options.folder !== undefined });
    await using _lock = folder.lock;
    return await run(options, folder);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

async function run(options: ClusterOptions, { lock, addresses }: ClusterFolder): Promise<number> {
  const cluster = new LocalCluster({ folder: lock.folder, addresses, args: options.storeFlags });
  const screen = new Screen(cluster.members.map(({ name }) => name));
  const follower = follow(cluster, screen);
  const stopping = stopRequest();
  // Asked for at once: a line that came while nobody listened would be lost.
  const input = openInput(screen, stopping);
  const lines = input[Symbol.asyncIterator]();
  try {
    introduce(cluster, lock.folder, screen);
    if (!(await startUnlessStopped(cluster, stopping.signal, screen))) return stopping.signal.aborted ? 0 : 1;
    screen.plain(`export ETCDCTL_ENDPOINTS=${cluster.endpoints.join(",")}`);
    screen.say("Commands: help lists them, quit stops everything.");
    screen.prompt = process.stdout.isTTY && process.stdin.isTTY ? input : undefined;
    await obey(lines, cluster, screen, stopping.signal);
    screen.prompt = undefined;
    screen.say("Stopping all members.");
    return 0;
  } finally {
    screen.prompt = undefined;
    input.close();
    await cluster.close();
    follower.end();
  }
}

/** False when they did not start, or were not let. */
async function startUnlessStopped(
  cluster: LocalCluster,
  signal: AbortSignal,
  screen: Screen,
): Promise<boolean> {
  try {
    const leader = await untilAborted(cluster.start(), { signal });
    screen.say(`All ${cluster.members.length} members serve; ${leader.name} leads.`);
    return true;
  } catch (error) {
    if (!signal.aborted) screen.problem(`The cluster did not start: ${errorMessage(error)}`);
    return false;
  }
}

/** Command after command, until one of them says so, or there are no more, or somebody else does. */
async function obey(
  lines: AsyncIterator<string>,
  cluster: LocalCluster,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const next = await untilAborted(lines.next(), { signal });
      if (next.done === true) return;
      const answer = await untilAborted(runCommand(next.value, cluster), { signal });
      if (answer === "quit") return;
      if (answer !== "") screen.plain(answer);
    } catch (error) {
      if (signal.aborted) return;
      screen.problem(error instanceof CommandProblem ? error.message : `It failed: ${errorMessage(error)}`);
    }
  }
}

function introduce(cluster: LocalCluster, folder: string, screen: Screen): void {
  const shown = relative(process.cwd(), folder);
  screen.say(`${cluster.members.length} members, in ${shown.startsWith("..") ? folder : shown}/:`);
  for (const { name, clientUrl, peerUrl } of cluster.members) {
    screen.plain(`  ${name}  clients ${clientUrl}  peers ${peerUrl}`);
  }
}

function follow(cluster: LocalCluster, screen: Screen): LogFollower {
  const follower = new LogFollower(cluster.members, (name, line) => screen.log(name, readableLine(line)));
  for (const member of cluster.members) {
    member.onUnexpectedEnd = ({ exit, lastLines }: UnexpectedEnd) => {
      follower.catchUp();
      const how = exit.signal ?? `exit code ${exit.code}`;
      screen.problem(`${member.name} ended by itself (${how}). The end of its log:`);
      for (const line of lastLines) screen.log(member.name, readableLine(line));
      screen.say(`restart ${member.name} starts it again.`);
    };
  }
  return follower;
}

/**
 * Aborts at the first of the signals, when there is nobody left to read what is printed, or when the npm that started this
 * is gone (it hands on SIGTERM, but cannot hand on SIGKILL).
 */
function stopRequest(): AbortController {
  const stopping = new AbortController();
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event !== undefined) {
    const orphaned = () => process.ppid !== parent && stopping.abort();
    setInterval(orphaned, PARENT_POLL_MS).unref();
  }
  for (const name of STOP_SIGNALS) process.on(name, () => stopping.abort());
  process.stdout.on("error", () => stopping.abort());
  return stopping;
}

function openInput(screen: Screen, stopping: AbortController): Interface {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const input = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stdout, terminal: true, prompt: "cluster> " }),
  });
  // On a terminal readline takes Ctrl-C for itself.
  input.on("SIGINT", () => stopping.abort());
  input.on("close", () => {
    screen.prompt = undefined;
  });
  return input;
}
