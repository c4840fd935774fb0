import { type ConfChange, decodeConfChange, entersJoint, leavesJoint } from "./conf-change.ts";
import { enterJoint, leaveJoint, simpleChange } from "./conf-changer.ts";
import { advanceCommit, proposeAsLeader } from "./leader.ts";
import type { RaftNode } from "./raft-node.ts";
import { answerConfirmed } from "./reads.ts";
import { broadcastAppend, broadcastNews } from "./replication.ts";
import type { TrackerState } from "./tracker.ts";
import { type ConfState, NONE, type ProposedEntry, type ProposeOutcome } from "./types.ts";

/** Leaves the joint configuration; without data no limit on bytes can refuse it. */
const LEAVE_JOINT: ProposedEntry = { kind: "confChange", data: new Uint8Array(0) };

/**
 * A leader takes a change of the configuration: one at a time (thesis §4.1), from the last proposed until it is applied.
 * A change that does not fit becomes an empty entry: its proposer learns that when the entry is applied.
 */
export function proposeConfChangeAsLeader(node: RaftNode, entry: ProposedEntry): ProposeOutcome {
  const index = node.log.lastIndex + 1;
  const fits =
    !node.options.policy.validateConfChanges || isConfChangeFit(node, decodeConfChange(entry.data));
  const outcome = proposeAsLeader(node, fits ? entry : { kind: "normal", data: new Uint8Array(0) });
  if (fits && outcome === "accepted") node.pendingConfIndex = index;
  return outcome;
}

/** Puts a committed change into effect on this member. Throws CodedError "ECONFCHANGE" when it can't be applied. */
export function applyConfChange(node: RaftNode, change: ConfChange): ConfState {
  const { config, progress } = node.tracker;
  const now = { config, progress, fresh: node.freshProgress };
  const joint = entersJoint(change);
  const next = leavesJoint(change)
    ? leaveJoint(now)
    : joint !== undefined
      ? enterJoint(now, joint, change.changes)
      : simpleChange(now, change.changes);
  return switchToConfig(node, next);
}

/** Goes over to a configuration, and does what follows from it at once. */
export function switchToConfig(node: RaftNode, { config, progress }: TrackerState): ConfState {
  node.tracker.config = config;
  node.tracker.progress = progress;
  const confState = node.tracker.confState();
  if (node.role !== "leader") return confState;
  const own = progress.get(node.id);
  if (own === undefined || own.isLearner) {
    if (node.options.policy.stepDownOnRemoval) node.becomeFollower(node.term, NONE);
    return confState;
  }
  if (confState.voters.length === 0) return confState;
  // A smaller quorum may have committed more; a new member is not made to wait for the next heartbeat.
  if (advanceCommit(node)) broadcastAppend(node);
  else broadcastNews(node);
  // Who is left may have confirmed reads already; where nobody else is left, no later answer would come to tell.
  answerConfirmed(node);
  if (!node.tracker.voterIds().includes(node.transferee)) node.transferee = NONE;
  return confState;
}

/** A joint configuration that was entered to be left by itself is left as soon as everybody may have entered it. */
export function leaveJointIfDue(node: RaftNode): void {
  const isDue = node.tracker.config.autoLeave && node.log.applied >= node.pendingConfIndex;
  if (isDue && node.role === "leader") proposeConfChangeAsLeader(node, LEAVE_JOINT);
}

function isConfChangeFit(node: RaftNode, change: ConfChange): boolean {
  if (node.pendingConfIndex > node.log.applied) return false;
  const isJoint = node.tracker.config.voters.outgoing.size > 0;
  return isJoint === (change.changes.length === 0);
}
