import {
  type AgentStatus,
  STATUS_BYTES_MAX,
  STATUS_LOSSES_MAX,
  STATUS_WORST_TASKS_MAX,
  type StatusLoss,
  type StatusTask,
} from "../../conf/agent-status.ts";
import { ENTRY_FIELDS } from "../../conf/parse-collect-config.ts";
import type { LossRecord } from "../checkpoint/loss.ts";
import type { MemoryState } from "../memory/memory-limit.ts";
import type { TopicStatus } from "../sink/port.ts";
import type { TaskStatus } from "../task/types.ts";
import type { AgentView } from "./agent-view.ts";

/** Longest sentence in a status, in characters; the whole is on the agent's HTTP and in its log. */
const SENTENCE_CHARACTERS_MAX = 400;
const PROBLEMS_OF_TASK_MAX = 3;
/** Flags that name a topic; the rest is counted in one flag. */
const TOPIC_FLAGS_MAX = 20;

/** The small status of the agent as of now; see {@link encodeStatus} for its size. */
export function buildStatus(view: AgentView): AgentStatus {
  const { applied, failed } = view.config();
  const tasks = view.tasks();
  return {
    version: view.version,
    ip: view.ip,
    instance: view.instance,
    startedAt: new Date(view.startedAtMs).toISOString(),
    asOf: new Date(view.nowMs()).toISOString(),
    config: {
      applied: applied?.revision ?? 0,
      ...(failed && { failed: { revision: failed.revision, reason: clipped(failed.reason) } }),
    },
    totals: totalsOf(tasks),
    worst: worstOf(tasks, view),
    losses: view.newestLosses().slice(0, STATUS_LOSSES_MAX).map(statusLoss),
    knownFields: [...ENTRY_FIELDS],
    flags: [...flagsOf(view, tasks)],
  };
}

/** The value for the store: at most 16 KiB, from which the least bad tasks are left out first, and the losses last. */
export function encodeStatus(status: AgentStatus): Buffer {
  for (let kept = status.worst.length; ; kept -= 1) {
    const flags = kept < status.worst.length ? [...status.flags, "worst-truncated"] : status.flags;
    const bytes = Buffer.from(JSON.stringify({ ...status, worst: status.worst.slice(0, kept), flags }));
    if (bytes.byteLength <= STATUS_BYTES_MAX) return bytes;
    if (kept === 0) return Buffer.from(JSON.stringify({ ...status, worst: [], losses: [], flags }));
  }
}

function statusLoss({ path, from, to, reason, noticedAtMs }: LossRecord): StatusLoss {
  return { path: clipped(path), from, to, reason, at: new Date(noticedAtMs).toISOString() };
}

function totalsOf(tasks: readonly TaskStatus[]): AgentStatus["totals"] {
  const sum = (figure: (task: TaskStatus) => number) =>
    tasks.reduce((total, task) => total + figure(task), 0);
  return {
    tasks: tasks.length,
    files: sum((task) => task.files),
    bytesRead: sum((task) => task.bytesRead),
    bytesAcked: sum((task) => task.bytesAcked),
    linesAcked: sum((task) => task.linesAcked),
    bytesBehind: sum((task) => task.bytesBehind),
    bytesLost: sum((task) => task.bytesLost),
    lossesUnknown: sum((task) => task.lossesUnknown),
    oldestUnackedAgeMs: Math.round(
      tasks.reduce((oldest, task) => Math.max(oldest, task.oldestUnackedAgeMs), 0),
    ),
  };
}

function worstOf(tasks: readonly TaskStatus[], view: AgentView): StatusTask[] {
  return tasks
    .map((task) => ({ task, problems: problemsOf(task, view.topic(task.topic)) }))
    .filter(({ task, problems }) => rank(task, problems) > 0)
    .sort(
      (a, b) =>
        rank(b.task, b.problems) - rank(a.task, a.problems) || b.task.bytesBehind - a.task.bytesBehind,
    )
    .slice(0, STATUS_WORST_TASKS_MAX)
    .map(({ task, problems }) => ({
      path: task.path,
      topic: task.topic,
      state: task.state,
      bytesBehind: task.bytesBehind,
      problems: problems.slice(0, PROBLEMS_OF_TASK_MAX).map(clipped),
    }));
}

/** 0: it is well. */
function rank(task: TaskStatus, problems: readonly string[]): number {
  if (problems.length > 0) return 3;
  if (task.bytesBehind > 0) return 2;
  return task.state === "waiting for file" ? 1 : 0;
}

/** The task's own, and why its topic waits. */
export function problemsOf(task: TaskStatus, topic: TopicStatus): readonly string[] {
  if (topic.kind !== "waiting" || task.problems.some((problem) => problem.includes(topic.reason))) {
    return task.problems;
  }
  return [topic.reason, ...task.problems];
}

/** Conditions of the whole agent worth a person's look, as stable words. */
export function flagsOf(view: AgentView, tasks: readonly TaskStatus[]): readonly string[] {
  const { applied, storeIsOlder, saveFailure } = view.config();
  const flags: string[] = [];
  if (view.hasIdentityConflict()) flags.push("identity-conflict");
  if (applied?.origin === "disk") flags.push("config-from-disk");
  if (storeIsOlder) flags.push("store-older-than-config");
  if (saveFailure !== undefined) flags.push("config-not-written");
  if (view.checkpointFailure() !== undefined) flags.push("checkpoints-not-written");
  const reading = view.memory()?.reading;
  if (reading !== undefined && reading !== "growing") flags.push(READING_FLAGS[reading]);
  if (view.hasLostCheckpoints) flags.push("checkpoints-lost");
  const topics = topicsOf(tasks).flatMap((name) => topicFlags(name, view.topic(name)));
  flags.push(...topics.slice(0, TOPIC_FLAGS_MAX));
  if (topics.length > TOPIC_FLAGS_MAX) flags.push(`more-topic-flags:${topics.length - TOPIC_FLAGS_MAX}`);
  return flags;
}

/** The topics that tasks ship to, each once. */
export function topicsOf(tasks: readonly TaskStatus[]): readonly string[] {
  return [...new Set(tasks.map((task) => task.topic))];
}

const READING_FLAGS = {
  reduced: "memory-limits-reading",
  stopped: "memory-stops-reading",
  least: "memory-above-limit",
} satisfies Record<Exclude<MemoryState["reading"], "growing">, string>;

function topicFlags(name: string, status: TopicStatus): string[] {
  switch (status.kind) {
    case "unknown":
      return [];
    case "waiting":
      return [`topic-waiting:${name}`];
    case "ready":
      return status.warnings.map((warning) =>
        warning === "one replica" ? `topic-one-replica:${name}` : `topic-min-insync-1:${name}`,
      );
    default:
      return status satisfies never;
  }
}

function clipped(sentence: string): string {
  return sentence.length > SENTENCE_CHARACTERS_MAX
    ? `${sentence.slice(0, SENTENCE_CHARACTERS_MAX)}…`
    : sentence;
}
