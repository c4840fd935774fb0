import { restoreConfig } from "./conf-changer.ts";
import type { AppendMessage, HeartbeatMessage, SnapshotMessage } from "./message.ts";
import type { RaftNode } from "./raft-node.ts";
import { switchToConfig } from "./reconfiguration.ts";
import { ProgressTracker } from "./tracker.ts";
import type { ConfState, SnapshotMeta } from "./types.ts";

/** The leader of this term is heard: a candidate gives way, a follower waits anew. */
export function hearLeader(node: RaftNode, leader: bigint): void {
  if (node.role !== "follower") node.becomeFollower(node.term, leader);
  node.electionElapsed = 0;
  node.leader = leader;
}

export function handleAppend(node: RaftNode, { from, prev, entries, commit }: AppendMessage): void {
  const { log } = node;
  if (prev.index < log.committed) {
    node.respond({ kind: "appendResponse", to: from, reject: false, index: log.committed });
    return;
  }
  const index = log.appendBehind(prev, entries);
  if (index !== undefined) {
    // Figure 2: no further than the last new entry, behind which this log may differ from the leader's.
    log.commitTo(Math.min(commit, index));
    node.respond({ kind: "appendResponse", to: from, reject: false, index });
    return;
  }
  // The leader's entries at `prev` have a term: what has a higher one here cannot be of its log.
  const hint = log.lastPossibleMatch(Math.min(prev.index, log.lastIndex), prev.term);
  node.respond({ kind: "appendResponse", to: from, reject: true, index: prev.index, hint });
}

export function handleHeartbeat(node: RaftNode, { from, commit, readPosition }: HeartbeatMessage): void {
  node.log.commitTo(commit);
  node.send({ kind: "heartbeatResponse", to: from, readPosition });
}

export function handleSnapshot(node: RaftNode, { from, snapshot }: SnapshotMessage): void {
  const isRestored = restore(node, snapshot);
  const index = isRestored ? node.log.lastIndex : node.log.committed;
  node.respond({ kind: "appendResponse", to: from, reject: false, index });
}

/** Takes configuration and history from a confState, as a member does when it starts. */
export function restoreConfState(node: RaftNode, confState: ConfState): void {
  node.tracker = new ProgressTracker();
  switchToConfig(node, restoreConfig(confState, node.freshProgress));
}

/** Raft §7. False when the snapshot tells nothing new, or is none for this member. */
function restore(node: RaftNode, snapshot: SnapshotMeta): boolean {
  const { log } = node;
  if (snapshot.index <= log.committed) return false;
  const { voters, votersOutgoing, learners } = snapshot.confState;
  if (![...voters, ...votersOutgoing, ...learners].includes(node.id)) return false;
  if (log.holds(snapshot)) {
    // The entries are here: to apply them is less work than to install a whole state.
    log.commitTo(snapshot.index);
    return false;
  }
  log.restore(snapshot);
  restoreConfState(node, snapshot.confState);
  return true;
}
