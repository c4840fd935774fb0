import type { SourceContext } from "../source/source-context.ts";
import type { TailSource } from "../source/tail-source.ts";
import type { TaskStatus } from "./types.ts";

/** The figures of a task as they are now. */
export function tailStatus(
  state: "starting" | "running" | "stopped",
  context: SourceContext,
  source: TailSource,
): TaskStatus {
  const { entry, deps, totals } = context;
  const topic = deps.sink.topic(entry.topic);
  const isWaiting = topic.kind === "waiting" && state === "running";
  const problems = context.problems.list();
  const { bytesRead, bytesAcked, linesAcked, bytesLost, linesRejected } = totals;
  return {
    path: entry.path,
    topic: entry.topic,
    state: isWaiting ? "waiting" : state,
    problems: topic.kind === "waiting" ? [topic.reason, ...problems] : problems,
    files: source.openFiles + source.closedFiles,
    openFiles: source.openFiles,
    bytesRead,
    bytesAcked,
    linesAcked,
    bytesLost,
    linesRejected,
    ...backlog(context, source),
  };
}

function backlog(context: SourceContext, source: TailSource) {
  let bytesBehind = 0;
  let heldDeletedBytes = 0;
  let oldestReadAtMs = Number.POSITIVE_INFINITY;
  for (const file of source.files) {
    const behind = Math.max(0, file.size - file.content.ackedTo);
    bytesBehind += behind;
    if (file.isDeleted) heldDeletedBytes += behind;
  }
  for (const content of source.contents()) {
    oldestReadAtMs = Math.min(oldestReadAtMs, content.oldestReadAtMs ?? Number.POSITIVE_INFINITY);
  }
  const nowMs = context.deps.clock.monotonicMs();
  const oldestUnackedAgeMs = oldestReadAtMs === Number.POSITIVE_INFINITY ? 0 : nowMs - oldestReadAtMs;
  return { bytesBehind, heldDeletedBytes, oldestUnackedAgeMs };
}
