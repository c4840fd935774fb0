import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaMessage } from "kafkajs";
import type { Random } from "../../../base/random.ts";
import type { KafkaServer } from "../../support/kafka.ts";
import { eventually, type RunningProcess, startProcess, temporaryFolder } from "../../support/process.ts";
import { AgentLives } from "./agent-lives.ts";
import type { Journal } from "./journal.ts";
import { type Evidence, LogAccount, type LogFigures } from "./log-account.ts";
import { prepareLogrotate } from "./logrotate.ts";
import { MODES, type Mode, type ModeName } from "./modes.ts";
import type { RotationBed } from "./rotation-bed.ts";
import { TopicReader } from "./topic-reader.ts";

/**
 * How long is written, rotated, killed and stopped; the rest of a round, which is to take 15 s at most, is for catching up. What a
 * rotation, a kill or an outage makes everybody wait for begins before the end of it.
 */
const TROUBLE_MS = 7_000;
const ROTATE_UNTIL_MS = TROUBLE_MS - 1_000;
const KILL_EVERY_MS = 2_000;
const KILL_UNTIL_MS = TROUBLE_MS - 500;
/** A rotated file is at rest for two seconds before its successor has its turn: with none but short pauses little would be under way. */
const ROTATE_AFTER_MS = { least: 700, most: [2_000, 5_000] };
/** So that the broker, which takes some seconds to start, is there again at the end. */
const BROKER_DOWN_AFTER_MS = { least: 500, most: 2_000 };
const BROKER_DOWN_MS_MAX = 1_500;
/** In the others the broker stays, so that each life of the agent gets further. */
const OUTAGE_SHARE = 0.75;
const CATCH_UP_MS_MAX = 45_000;
/** Of all bytes, most go to one log. */
const SMALL_LOG_SHARE = 0.01;

export interface RoundOptions {
  readonly bed: RotationBed;
  readonly mode: ModeName;
  readonly random: Random;
  readonly bytesPerSecond: number;
  /** Where logs, data folder and journal go when a promise was broken. */
  readonly keepIn?: string;
}

export interface RoundResult extends LogFigures {
  readonly violations: readonly string[];
  readonly lives: number;
  readonly readyLives: number;
  readonly rotations: number;
  readonly lossRecords: number;
  /** From the end of the trouble until everything was accounted for. */
  readonly catchUpMs: number;
  readonly roundMs: number;
}

/**
 * One round: a program writes, logrotate rotates, the agent is killed every two seconds, the broker is stopped and started; then
 * all is left alone, and each line that was written has to arrive, or to be in a loss record where the mode takes it away.
 */
export async function playRound(options: RoundOptions): Promise<RoundResult> {
  const { bed, mode: name, random, bytesPerSecond, keepIn } = options;
  const startedMs = performance.now();
  const mode: Mode = MODES[name];
  const topic = await bed.newTopic();
  await bed.putConfig([]);
  await using agent = await AgentLives.start({
    endpoint: bed.store.endpoint,
    brokers: bed.kafka.brokers,
  });
  await bed.putConfig([{ path: `${agent.logs}/${mode.pattern}`, topic, ...mode.entry }]);
  await eventually(async () => {
    if (!(await agent.tasks()).includes(topic)) throw new Error("the agent has no such task");
  });
  await using writer = await startWriter(agent.logs, bytesPerSecond);
  const rotate = await prepareLogrotate({
    mode,
    logs: agent.logs,
    writerPid: writer.pid,
    reopened: writer.reopened,
  });
  const rotations = await trouble({ agent, kafka: bed.kafka, rotate, mode, random });
  const journal = await writer.finish();

  const quietMs = performance.now();
  const accounts = journal.logs.map((log) => new LogAccount(log));
  const onRecord = (_: number, message: KafkaMessage) => {
    const { path: file = "", pos = "" } = textsOf(message);
    const colon = pos.indexOf(":");
    const account = accounts.find((one) => path.basename(file).startsWith(`${one.name}.log`));
    account?.arrived(
      {
        path: file,
        id: pos.slice(0, colon),
        offset: Number(pos.slice(colon + 1)),
        text: message.value?.toString("latin1") ?? "",
        life: agent.lifeAt(Number(message.timestamp)),
      },
      agent.durableAt,
    );
  };
  await using _reader = await TopicReader.start({ brokers: bed.kafka.brokers, topic, onRecord });
  const verdict = () => accounts.map((account) => account.settle(evidenceOf(account, agent, mode)));
  const isDone = () => accounts.every((account) => account.isComplete) || verdict().every(isFine);
  const isInTime = await until(isDone, CATCH_UP_MS_MAX);
  const catchUpMs = performance.now() - quietMs;

  const violations = isInTime ? [] : [`not accounted for after ${CATCH_UP_MS_MAX} ms`];
  violations.push(...(await figuresHold(agent)));
  const exit = await agent.stop();
  if (exit?.code !== 0) violations.push(`the agent ended with ${JSON.stringify(exit)} at SIGTERM`);
  violations.push(...[await agent.auditFailure()].filter((text) => text !== undefined));
  const settled = verdict();
  violations.push(...settled.flatMap((one) => one.violations));
  if (violations.length > 0 && keepIn !== undefined) keep(keepIn, { agent, journal });
  return {
    ...sum(settled.map(({ figures }) => figures)),
    violations,
    lives: agent.lives,
    readyLives: agent.readyLives,
    rotations,
    lossRecords: agent.losses().length,
    catchUpMs,
    roundMs: performance.now() - startedMs,
  };
}

interface Writer extends AsyncDisposable {
  readonly pid: number;
  readonly reopened: string;
  finish(): Promise<Journal>;
}

async function startWriter(logs: string, bytesPerSecond: number): Promise<Writer> {
  const folder = temporaryFolder("writer");
  const [journal, reopened] = [path.join(folder, "journal.json"), path.join(folder, "reopened")];
  const small = Math.round(bytesPerSecond * SMALL_LOG_SHARE);
  const args = [path.join(import.meta.dirname, "writer.ts"), "--folder", logs];
  args.push("--journal", journal, "--reopened", reopened);
  args.push("--log", `app=${bytesPerSecond - small}`, "--log", `audit=${small}`);
  const process_: RunningProcess = await startProcess(process.execPath, args, { readyLine: "writing" });
  return {
    pid: process_.pid,
    reopened,
    finish: async () => {
      await process_.stop();
      if (!existsSync(journal)) throw new Error(`The writer ended without a journal: ${process_.output()}`);
      return JSON.parse(readFileSync(journal, "utf8")) as Journal;
    },
    [Symbol.asyncDispose]: async () => void (await process_.kill()),
  };
}

/** Everything at once, each at its own pace. Returns how often was rotated. */
async function trouble(parts: {
  readonly agent: AgentLives;
  readonly kafka: KafkaServer;
  readonly rotate: () => Promise<void>;
  readonly mode: Mode;
  readonly random: Random;
}): Promise<number> {
  const { agent, kafka, rotate, mode, random } = parts;
  const startedMs = performance.now();
  const mayWait = (ms: number, untilMs: number) => performance.now() + ms < startedMs + untilMs;
  const between = (least: number, most: number) => least + random.next() * (most - least);
  // Drawn before anything happens: what happens when depends on the seed alone.
  const brokerAtMs = between(BROKER_DOWN_AFTER_MS.least, BROKER_DOWN_AFTER_MS.most);
  const brokerDownMs = between(0, BROKER_DOWN_MS_MAX);
  const isKilled = random.next() < 0.5;
  const hasOutage = random.next() < OUTAGE_SHARE;
  const fromReady = Array.from({ length: 10 }, () => random.next() < 0.6);
  const mostMs = ROTATE_AFTER_MS.most[random.next() < 0.5 ? 0 : 1] ?? 0;
  const leastMs = Math.max(ROTATE_AFTER_MS.least, mode.pauseMsMin ?? 0);
  const pauses = Array.from({ length: 20 }, () => between(leastMs, mostMs));
  const kills = async () => {
    for (const isFromReady of fromReady) {
      // On a busy machine a life of two seconds is over before it has written a checkpoint.
      if (isFromReady) await agent.ready(KILL_EVERY_MS);
      if (!mayWait(KILL_EVERY_MS, KILL_UNTIL_MS)) return;
      await sleep(KILL_EVERY_MS);
      await agent.killAndStart();
    }
  };
  const outage = async () => {
    if (!hasOutage) return;
    await sleep(brokerAtMs);
    if (isKilled) await kafka.kill();
    await sleep(brokerDownMs);
    // Stops it first, if it runs.
    await kafka.restart();
  };
  const rotations = async () => {
    for (const [count, pauseMs] of pauses.entries()) {
      if (!mayWait(pauseMs, ROTATE_UNTIL_MS)) return count;
      await sleep(pauseMs);
      await rotate();
    }
    return pauses.length;
  };
  const [rotated] = await Promise.all([rotations(), kills(), outage(), sleep(TROUBLE_MS)]);
  return rotated;
}

function evidenceOf(account: LogAccount, agent: AgentLives, mode: Mode): Evidence {
  const identities = [...agent.knownFiles()].map(
    ({ id, ino, birthtimeNs }) => [id, `${ino}:${birthtimeNs}`] as const,
  );
  return {
    durableAt: agent.durableAt,
    mode,
    identities: new Map(identities),
    losses: agent.losses().filter((loss) => path.basename(loss.path).startsWith(`${account.name}.log`)),
    present: identitiesIn(agent.logs),
  };
}

function identitiesIn(folder: string): ReadonlySet<string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const stats = names.map((name) => statSync(path.join(folder, name), { bigint: true }));
  return new Set(stats.map(({ ino, birthtimeNs }) => `${ino}:${birthtimeNs}`));
}

function keep(
  folder: string,
  { agent, journal }: { readonly agent: AgentLives; readonly journal: Journal },
): void {
  mkdirSync(folder, { recursive: true });
  agent.keep(folder);
  writeFileSync(path.join(folder, "journal.json"), JSON.stringify(journal, undefined, 1));
}

/** The metrics of the last life say what its log says, and that nothing is left to do. */
async function figuresHold(agent: AgentLives): Promise<string[]> {
  const failures: string[] = [];
  try {
    await eventually(async () => {
      const behind = await agent.metric("logagent_bytes_behind");
      if (behind !== 0) throw new Error(`logagent_bytes_behind is ${behind}, and nothing is missing`);
    });
    const losses = agent.lossesOfThisLife();
    const known = losses.reduce((bytes, { from, to }) => bytes + (to === "unknown" ? 0 : to - from), 0);
    const unknown = losses.filter(({ to }) => to === "unknown").length;
    const said = [
      await agent.metric("logagent_bytes_lost_total"),
      await agent.metric("logagent_losses_of_unknown_extent_total"),
    ];
    if (said[0] !== known || said[1] !== unknown)
      failures.push(`metrics say ${said.join(" and ")} lost, the log ${known} and ${unknown}`);
  } catch (error) {
    failures.push(String(error));
  }
  return failures;
}

function isFine({ violations }: { readonly violations: readonly string[] }): boolean {
  return violations.length === 0;
}

async function until(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!isDone()) {
    if (performance.now() >= deadlineMs) return false;
    await sleep(250);
  }
  return true;
}

function textsOf({ headers }: KafkaMessage): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]));
}

function sum(all: readonly LogFigures[]): LogFigures {
  const total = {
    lines: 0,
    bytes: 0,
    contents: 0,
    duplicates: 0,
    lostLines: 0,
    lostBytes: 0,
  };
  for (const figures of all) {
    for (const key of Object.keys(total) as (keyof LogFigures)[]) total[key] += figures[key];
  }
  return total;
}
