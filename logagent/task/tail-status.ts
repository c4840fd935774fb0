import type { TopicStatus } from "../sink/port.ts";
import type { SourceContext } from "../source/source-context.ts";
import type { TailSource } from "../source/tail-source.ts";
import type { TailedFile } from "../source/tailed-file.ts";
import type { TaskState, TaskStatus } from "./types.ts";

/** A path without a file is worth a person's look after this time: a rotation leaves none for a moment. */
export const MISSING_AFTER_MS = 60_000;

/** The figures of a task as they are now. */
export function tailStatus(
  state: "starting" | "running" | "stopped",
  context: SourceContext,
  source: TailSource,
): TaskStatus {
  const { entry, deps, totals } = context;
  const topic = deps.sink.topic(entry.topic);
  const waitingFiles = context.turns.waiting.size;
  const problems = [...context.problems.list(), ...waitingProblem(waitingFiles, context)];
  const { bytesRead, bytesAcked, linesAcked, bytesLost, lossesUnknown, linesRejected } = totals;
  const { linesCut, linesTruncated, bytesTruncated, linesDropped } = totals;
  return {
    path: entry.path,
    topic: entry.topic,
    state: state === "running" ? runningState(topic, context, source) : state,
    problems: topic.kind === "waiting" ? [topic.reason, ...problems] : problems,
    files: source.openFiles + source.closedFiles,
    openFiles: source.openFiles,
    closedFiles: source.closedFiles,
    waitingFiles,
    bytesRead,
    bytesAcked,
    linesAcked,
    bytesLost,
    lossesUnknown,
    linesRejected,
    linesCut,
    linesTruncated,
    bytesTruncated,
    linesDropped,
    ...backlog(context, source),
  };
}

function runningState(topic: TopicStatus, context: SourceContext, source: TailSource): TaskState {
  if (topic.kind === "waiting") return "waiting";
  const sinceMs = source.withoutFilesSinceMs;
  if (sinceMs === undefined) return "running";
  const nowMs = context.deps.clock.monotonicMs();
  return nowMs - sinceMs >= MISSING_AFTER_MS ? "waiting for file" : "running";
}

function waitingProblem(waiting: number, { deps }: SourceContext): readonly string[] {
  if (waiting === 0) return [];
  const { limit, limitMax } = deps.openFiles;
  const why = limit < limitMax ? ", because the system has no descriptors left" : " (openFilesMax)";
  return [
    `Cannot hold every file open: ${waiting} wait for their turn, ${limit} may be open at one time${why}`,
  ];
}

function backlog(context: SourceContext, source: TailSource) {
  let bytesBehind = 0;
  let heldDeletedBytes = 0;
  let oldestReadAtMs = Number.POSITIVE_INFINITY;
  for (const file of source.files) {
    bytesBehind += bytesBehindOf(file);
    heldDeletedBytes += file.heldDeletedBytes;
  }
  for (const content of context.unsettled.contents()) {
    const { record, sentTo, ackedTo } = content;
    // What was not sent of a content that was replaced is lost.
    const end = context.unsettled.isReplaced(record) ? sentTo : record.seen;
    bytesBehind += Math.max(0, end - ackedTo);
  }
  for (const waiting of context.turns.waiting.values()) {
    const { record } = waiting;
    if (record === undefined || context.turns.isUnsettled(waiting)) continue;
    bytesBehind += Math.max(0, record.seen - record.offset);
  }
  for (const content of source.contents()) {
    oldestReadAtMs = Math.min(oldestReadAtMs, content.oldestReadAtMs ?? Number.POSITIVE_INFINITY);
  }
  const nowMs = context.deps.clock.monotonicMs();
  const oldestUnackedAgeMs =
    oldestReadAtMs === Number.POSITIVE_INFINITY ? 0 : Math.round(nowMs - oldestReadAtMs);
  return { bytesBehind, heldDeletedBytes, oldestUnackedAgeMs };
}

function bytesBehindOf({ size, content, next }: TailedFile): number {
  if (next === undefined) return Math.max(0, size - content.ackedTo);
  // Of what was replaced, only what is being delivered is not said to be lost.
  return size + Math.max(0, content.record.seen - content.ackedTo);
}
