import type { ProgressState, ProgressView } from "../../../../store/raft/progress.ts";
import type { JointVoters } from "../../../../store/raft/quorum.ts";
import type { TrackerConfig } from "../../../../store/raft/tracker.ts";

/** How etcd-io/raft prints what its scripts compare. Each text is without a newline at its end unless it says so. */

/** `(1 2 3)`: in ascending order, hexadecimal. */
export function describeIds(ids: Iterable<bigint>): string {
  const ascending = [...ids].sort((a, b) => (a < b ? -1 : 1));
  return `(${ascending.map((id) => id.toString(16)).join(" ")})`;
}

/** `(1 2)&&(3)`, or `(1 2)` when not joint. */
export function describeVoters({ incoming, outgoing }: JointVoters): string {
  return describeIds(incoming) + (outgoing.size > 0 ? `&&${describeIds(outgoing)}` : "");
}

/** `voters=(1 2)&&(3) learners=(4) learners_next=(3) autoleave`, without what is empty. */
export function describeConfig({ voters, learners, learnersNext, autoLeave }: TrackerConfig): string {
  return [
    `voters=${describeVoters(voters)}`,
    ...(learners.size > 0 ? [`learners=${describeIds(learners)}`] : []),
    ...(learnersNext.size > 0 ? [`learners_next=${describeIds(learnersNext)}`] : []),
    ...(autoLeave ? ["autoleave"] : []),
  ].join(" ");
}

/** A line for each member in ascending order, with its newline: `1: StateProbe match=0 next=1 learner paused`. */
export function describeProgressMap(progress: ReadonlyMap<bigint, ProgressView>): string {
  return [...progress]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, view]) => `${id}: ${describeProgress(view)}\n`)
    .join("");
}

export function describeProgress(progress: ProgressView): string {
  const { state, match, next, isLearner, isPaused, pendingSnapshot, recentActive, inflights } = progress;
  return [
    `${STATES[state]} match=${match} next=${next}`,
    ...(isLearner ? ["learner"] : []),
    ...(isPaused ? ["paused"] : []),
    ...(pendingSnapshot > 0 ? [`pendingSnap=${pendingSnapshot}`] : []),
    ...(recentActive ? [] : ["inactive"]),
    ...(inflights.count > 0 ? [`inflight=${inflights.count}${inflights.isFull ? "[full]" : ""}`] : []),
  ].join(" ");
}

/** `∞` for the index that nobody has to agree to. */
export function describeIndex(index: number): string {
  return index === Number.MAX_SAFE_INTEGER ? "∞" : String(index);
}

/**
 * A bar for each voter, by ascending id, as long as the number of voters that hold less, with a newline behind each; `?`
 * for one that is not known to hold anything.
 */
export function describeAcked(
  voters: ReadonlySet<bigint>,
  ackedOf: (id: bigint) => number | undefined,
): string {
  if (voters.size === 0) return "<empty majority quorum>";
  const rows = [...voters]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((id) => {
      const acked = ackedOf(id);
      const behind = [...voters].filter((other) => (ackedOf(other) ?? 0) < (acked ?? 0)).length;
      const bar = acked === undefined ? "?" : `${"x".repeat(behind)}>`;
      return `${bar.padEnd(voters.size + 1)} ${String(acked ?? 0).padStart(5)}    (id=${id.toString(16)})\n`;
    });
  return `${" ".repeat(voters.size)}    idx\n${rows.join("")}`;
}

const STATES: Record<ProgressState, string> = {
  probe: "StateProbe",
  replicate: "StateReplicate",
  snapshot: "StateSnapshot",
};
