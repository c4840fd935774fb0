import type { AgentView } from "./agent-view.ts";
import { topicsOf } from "./build-status.ts";

/** Why the agent is not ready, as sentences; none: it is. */
export function unreadyReasons(view: AgentView): readonly string[] {
  const reasons: string[] = [];
  const { applied, failed, saveFailure } = view.config();
  if (applied === undefined) {
    reasons.push(
      failed === undefined
        ? "config not known: the store has not answered, and there is no last good config"
        : `config not known: revision ${failed.revision} was refused: ${failed.reason}`,
    );
  }
  if (saveFailure !== undefined) reasons.push(`last good config not writable: ${saveFailure}`);
  const waiting = waitingTopics(view);
  // One topic that is missing stalls no other task; when all that were sent to wait, the destination itself is away.
  if (waiting.topics > 0 && waiting.reasons.length === waiting.topics) {
    reasons.push(`sink not reachable: ${waiting.reasons[0]}`);
  }
  const checkpointFailure = view.checkpointFailure();
  if (checkpointFailure !== undefined) reasons.push(`checkpoints not writable: ${checkpointFailure}`);
  if (view.hasIdentityConflict()) reasons.push(`identity ${view.ip} is in use by another agent`);
  return reasons;
}

/** Of the topics that something is known of, for something was sent to them. */
function waitingTopics(view: AgentView): { readonly topics: number; readonly reasons: readonly string[] } {
  const topics = topicsOf(view.tasks())
    .map((name) => view.topic(name))
    .filter(({ kind }) => kind !== "unknown");
  return {
    topics: topics.length,
    reasons: topics.flatMap((status) => (status.kind === "waiting" ? [status.reason] : [])),
  };
}
