import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { styleText } from "node:util";
import { stringify } from "yaml";
import { errorMessage } from "../../base/errors.ts";
import type { Account } from "./account.ts";
import { type Destination, fileDestination } from "./destination.ts";
import { type Actor, choosePort, start } from "./stage.ts";

/**
 * The tour: a store, an agent and two programs that write logs, all on this machine, in a folder of its own. It tells
 * the story as it happens and ends with an account. Exit code 0 only if nothing was lost.
 *   npm start                lines go to files
 *   npm start -- --kafka     lines go to a real broker (KAFKA_BROKERS, or one that it fetches and starts)
 */
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = join(root, ".tour");
const identity = "127.0.0.1";
const configKey = `/logagent/${identity}/collect_config`;
const LINES_PER_SECOND = 200;
const DELIVERY_LIMIT_MS = 60_000;
const SAMPLE_EVERY = 200;

const heading = (text: string) => print(`\n${styleText(["bold", "cyan"], text)}`);
const command = (text: string) => print(styleText("green", `  $ ${text}`));
const say = (text: string) => print(`  ${text}`);

const useKafka = parseArguments(process.argv.slice(2));
const cast = new Set<Actor>();
const interrupted = new AbortController();
process.on("SIGINT", () => interrupted.abort());
process.on("SIGTERM", () => interrupted.abort());
process.exitCode = await perform();

async function perform(): Promise<number> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "logs"), { recursive: true });
  await using destination = await openDestination();
  try {
    const stage = await setUp(destination);
    const accounts = await story(stage, destination);
    const lost = printAccount(accounts);
    if (process.stdin.isTTY && lost === 0 && !interrupted.signal.aborted) await stayUp(stage, destination);
    return lost === 0 ? 0 : 1;
  } catch (error) {
    if (interrupted.signal.aborted) return 1;
    process.stderr.write(
      `\nThe tour stopped: ${errorMessage(error)}\nThe logs of store and agent are in ${folder}.\n`,
    );
    return 1;
  } finally {
    // Those that came last go first: the agent before the store that it keeps its status in.
    for (const actor of [...cast].reverse()) await actor.end("SIGTERM");
  }
}

interface Stage {
  readonly endpoint: string;
  readonly http: string;
  readonly log: (name: string) => string;
  readonly startAgent: () => Promise<Actor>;
  readonly put: (entries: readonly { path: string; topic: string }[]) => Promise<void>;
}

async function setUp(destination: Destination): Promise<Stage> {
  const endpoint = `http://127.0.0.1:${await choosePort(2379)}`;
  const peer = `http://127.0.0.1:${await choosePort(2380)}`;
  const http = `127.0.0.1:${await choosePort(2381)}`;
  const log = (name: string) => join(folder, "logs", `${name}.log`);
  const config = join(folder, "agent.yaml");
  await writeFile(
    config,
    stringify({
      ip: identity,
      store: { endpoints: [endpoint] },
      sink: destination.sink,
      dataDir: join(folder, "agent"),
      allow: [join(folder, "logs", "**")],
      http,
    }),
  );

  heading("1. A store and an agent start");
  const storeArgs = ["--data-dir", join(folder, "store"), "--listen-client-urls", endpoint];
  storeArgs.push("--advertise-client-urls", endpoint, "--listen-peer-urls", peer);
  storeArgs.push("--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`);
  command(`logstore --data-dir .tour/store --listen-client-urls ${endpoint}`);
  const storeLog = join(folder, "store.log");
  await enter({
    script: "store/bin.js",
    args: storeArgs,
    log: storeLog,
    readyText: "ready to serve client requests",
  });
  say(`The store speaks etcd's v3 API on ${endpoint}; etcdctl works on it too.`);

  const startAgent = async () => {
    command("logagent run --config .tour/agent.yaml");
    const agentLog = join(folder, "agent.log");
    return enter({
      script: "logagent/bin.js",
      args: ["run", "--config", config],
      log: agentLog,
      readyText: "agent is ready",
    });
  };
  const put = async (entries: readonly { path: string; topic: string }[]) => {
    const value = JSON.stringify(entries);
    command(`logctl put ${configKey} '${value.replaceAll(root, ".")}'`);
    const args = ["put", "--endpoints", endpoint, configKey, value];
    const logctl = await start({ script: "ctl/bin.js", args, log: join(folder, "logctl.log") });
    await logctl.ended;
    const output = logctl.stdout();
    if (output.trim() !== "OK")
      throw new Error(`logctl put answered "${output}"; see ${join(folder, "logctl.log")}`);
  };
  return { endpoint, http, log, startAgent, put };
}

async function story(stage: Stage, destination: Destination): Promise<readonly Account[]> {
  let agent = await stage.startAgent();
  say(
    `The agent asked for ${configKey} and watches it. The list is empty: it tails nothing. Its lines will go to ${destination.title}.`,
  );

  heading("2. A put starts a tail task");
  const writers = new Map<string, Actor>();
  for (const name of ["app", "api"]) writers.set(name, await enterWriter(name, stage));
  say(`Two programs write ${LINES_PER_SECOND} lines a second each, to logs/app.log and logs/api.log.`);
  const app = { path: stage.log("app"), topic: "app_log" };
  const api = { path: stage.log("api"), topic: "api_log" };
  showArrivals(destination, app.topic);
  await stage.put([app]);
  await arrived(destination, [app.topic], "app", 400);

  heading("3. A second file joins, by a put; nothing restarts");
  showArrivals(destination, api.topic);
  await stage.put([app, api]);
  await arrived(destination, [api.topic], "api", 400);

  heading("4. The log is rotated, as logrotate does it: renamed, and a new file in its place");
  await rotate("app", stage, writers);
  const afterRotation = await destination.tally([app.topic]);
  await arrived(destination, [app.topic], "app", afterRotation.delivered("app") + 400);

  heading("5. The first file leaves the list; its task ends, the other one goes on");
  await stage.put([api]);
  const before = await destination.tally([api.topic]);
  await arrived(destination, [api.topic], "api", before.delivered("api") + 300);

  heading("6. The first file comes back: its task resumes where it stopped");
  await stage.put([app, api]);

  heading("7. The agent is killed while both programs write, and starts again");
  await sleep(500, undefined, { signal: interrupted.signal });
  command(`kill -9 ${agent.pid}`);
  await agent.end("SIGKILL");
  cast.delete(agent);
  await rotate("api", stage, writers);
  await sleep(1500, undefined, { signal: interrupted.signal });
  agent = await stage.startAgent();

  heading("8. The programs end, and every line is looked for");
  const written = new Map<string, number>();
  for (const [name, writer] of writers) {
    await writer.end("SIGTERM");
    cast.delete(writer);
    written.set(name, Number(writer.stdout().trim()));
  }
  return settle(destination, [app.topic, api.topic], written);
}

async function rotate(name: string, stage: Stage, writers: ReadonlyMap<string, Actor>): Promise<void> {
  command(`mv ${name}.log ${name}.log.1 && kill -HUP $(pidof ${name})`);
  await rename(stage.log(name), `${stage.log(name)}.1`);
  writers.get(name)?.signal("SIGHUP");
}

/** Waits until every line has arrived, or nothing more comes. */
async function settle(
  destination: Destination,
  topics: readonly string[],
  written: ReadonlyMap<string, number>,
) {
  const deadline = performance.now() + DELIVERY_LIMIT_MS;
  for (;;) {
    const tally = await destination.tally(topics);
    const accounts = [...written].map(([name, lines]) => tally.account(name, lines));
    if (accounts.every(({ lost }) => lost === 0) || performance.now() > deadline) return accounts;
    await sleep(500, undefined, { signal: interrupted.signal });
  }
}

async function arrived(destination: Destination, topics: readonly string[], name: string, lines: number) {
  const deadline = performance.now() + DELIVERY_LIMIT_MS;
  while ((await destination.tally(topics)).delivered(name) < lines) {
    if (performance.now() > deadline)
      throw new Error(`${lines} lines of ${name} did not arrive in ${DELIVERY_LIMIT_MS} ms`);
    await sleep(200, undefined, { signal: interrupted.signal });
  }
}

/** One line in a few hundred, with its age: enough to see them come. */
function showArrivals(destination: Destination, topic: string): void {
  let count = 0;
  destination.watch(topic, (line) => {
    if (count % SAMPLE_EVERY === 0) {
      const ageMs = Date.now() - Date.parse(line.slice(0, line.indexOf(" ")));
      say(
        styleText(
          "dim",
          `${topic} ◂ ${line}   (written ${ageMs} ms ago; one line in ${SAMPLE_EVERY} is shown)`,
        ),
      );
    }
    count += 1;
  });
}

function printAccount(accounts: readonly Account[]): number {
  heading("The account");
  const row = (cells: readonly (string | number)[]) =>
    say(cells.map((cell) => String(cell).padStart(14)).join(""));
  row(["log", "written", "delivered", "lost", "duplicated", "out of order"]);
  for (const a of accounts) row([a.name, a.written, a.delivered, a.lost, a.duplicated, a.outOfOrder]);
  const lost = accounts.reduce((sum, account) => sum + account.lost, 0);
  if (lost > 0) say(styleText("red", `${lost} lines were lost.`));
  else say("Nothing was lost. A line that came twice was not checkpointed yet when the agent was killed.");
  return lost;
}

async function stayUp(stage: Stage, destination: Destination): Promise<void> {
  heading("All of it stays up until Ctrl-C. In another terminal:");
  await enterWriter("try", stage);
  const entry = JSON.stringify([{ path: stage.log("try"), topic: "try_log" }]);
  showArrivals(destination, "try_log");
  command(`npx logctl --endpoints ${stage.endpoint} agents`);
  command(`npx logctl --endpoints ${stage.endpoint} get --prefix /logagent/`);
  command(`npx logctl --endpoints ${stage.endpoint} put ${configKey} '${entry}'`);
  command(`npx logctl --endpoints ${stage.endpoint} watch ${configKey}`);
  command(`npx logctl --endpoints ${stage.endpoint} endpoint status -w table`);
  command(`npx logagent preview ${stage.log("try")}`);
  command(`curl http://${stage.http}/metrics`);
  const { promise, resolve } = Promise.withResolvers<void>();
  interrupted.signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

async function enter(cue: Parameters<typeof start>[0]): Promise<Actor> {
  const actor = await start(cue);
  cast.add(actor);
  return actor;
}

function enterWriter(name: string, stage: Stage): Promise<Actor> {
  const args = [stage.log(name), name, String(LINES_PER_SECOND)];
  return enter({ script: "deploy/tour/writer.ts", args, log: join(folder, `${name}-writer.log`) });
}

async function openDestination(): Promise<Destination> {
  if (!useKafka) return fileDestination(join(folder, "out"));
  const { kafkaDestination } = await import("./kafka-destination.ts");
  return kafkaDestination({ topics: ["app_log", "api_log", "try_log"], folder, say });
}

function parseArguments(args: readonly string[]): boolean {
  const unknown = args.find((arg) => arg !== "--kafka");
  if (unknown === undefined) return args.length > 0;
  process.stderr.write(`Unknown argument ${unknown}. Usage: npm start [-- --kafka]\n`);
  process.exit(2);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
