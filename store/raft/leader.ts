import type { AppendAccepted, AppendRejected, HeartbeatResponse } from "./message.ts";
import type { RaftNode } from "./raft-node.ts";
import { answerConfirmed, releasePostponedReads } from "./reads.ts";
import { broadcastAppend, broadcastHeartbeat, sendAppend } from "./replication.ts";
import { NONE, type ProposedEntry, type ProposeOutcome } from "./types.ts";

/** A tick of the leader. */
export function tickHeartbeat(node: RaftNode): void {
  const { electionTicks, heartbeatTicks } = node.options.limits;
  node.heartbeatElapsed += 1;
  node.electionElapsed += 1;
  if (node.electionElapsed >= electionTicks) {
    node.electionElapsed = 0;
    if (node.options.policy.checkQuorum) checkQuorum(node);
    // Who could not take over in this time does not: this member goes on.
    node.transferee = NONE;
  }
  if (node.role !== "leader" || node.heartbeatElapsed < heartbeatTicks) return;
  node.heartbeatElapsed = 0;
  broadcastHeartbeat(node);
}

/** Appends to the leader's log and sends it out; says why not. */
export function proposeAsLeader(node: RaftNode, entry: ProposedEntry): ProposeOutcome {
  if (!node.tracker.progress.has(node.id)) return "removed";
  if (node.transferee !== NONE) return "transferring";
  const { length } = entry.data;
  // What others have committed is no lesser load for a disk that hangs here.
  const waitingBytes = Math.max(node.uncommittedBytes, node.log.unstableBytes);
  const isTooMany = waitingBytes + length > node.options.limits.uncommittedBytes;
  // An empty entry always passes: it opens a term, or leaves a joint configuration.
  if (isTooMany && waitingBytes > 0 && length > 0) return "tooManyUncommitted";
  appendOwn(node, entry);
  broadcastAppend(node);
  return "accepted";
}

/** Appends to the log; the leader acknowledges its own entries when they are on its disk, as a follower does. */
export function appendOwn(node: RaftNode, { kind, data }: ProposedEntry): void {
  const index = node.log.lastIndex + 1;
  node.uncommittedBytes += data.byteLength;
  node.log.append([{ term: node.term, index, kind, data }]);
  node.respond({ kind: "appendResponse", to: node.id, reject: false, index });
}

export function handleAppendResponse(node: RaftNode, message: AppendAccepted | AppendRejected): void {
  const progress = node.tracker.progress.get(message.from);
  if (progress === undefined) return;
  progress.recentActive = true;
  if (message.reject) handleRejected(node, message);
  else handleAccepted(node, message);
}

export function handleHeartbeatResponse(node: RaftNode, { from, readPosition }: HeartbeatResponse): void {
  const progress = node.tracker.progress.get(from);
  if (progress === undefined) return;
  progress.recentActive = true;
  progress.appendFlowPaused = false;
  // What was on the way may be lost; an append shows it.
  if (progress.match < node.log.lastIndex || progress.state === "probe") sendAppend(node, from);
  if (readPosition === 0) return;
  node.reads.acknowledge(from, readPosition);
  answerConfirmed(node);
}

export function handleUnreachable(node: RaftNode, id: bigint): void {
  const progress = node.tracker.progress.get(id);
  // In optimistic replication, an append was likely lost.
  if (progress?.state === "replicate") progress.becomeProbe();
}

export function handleSnapshotReport(node: RaftNode, id: bigint, outcome: "delivered" | "failed"): void {
  const progress = node.tracker.progress.get(id);
  if (progress?.state !== "snapshot") return;
  if (outcome === "failed") progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // Delivered: its answer is on the way. Failed: the next heartbeat's answer is early enough for another attempt.
  progress.appendFlowPaused = true;
}

/** Thesis §3.10: brings the transferee's log up to date, then tells it to campaign. */
export function handleTransferLeader(node: RaftNode, transferee: bigint): void {
  const progress = node.tracker.progress.get(transferee);
  if (progress === undefined || progress.isLearner || node.transferee === transferee) return;
  node.transferee = NONE;
  if (transferee === node.id) return;
  node.electionElapsed = 0;
  node.transferee = transferee;
  if (progress.match === node.log.lastIndex) node.send({ kind: "timeoutNow", to: transferee });
  else sendAppend(node, transferee);
}

/** Commits what a quorum holds; returns true when the commit moved, and the others are to hear of it. */
export function advanceCommit(node: RaftNode): boolean {
  const { log } = node;
  const before = log.committed;
  const index = node.tracker.committed();
  // Raft §5.4.2: replicas are counted only for entries of the leader's own term.
  if (index <= before || log.term(index) !== node.term) return false;
  log.commitTo(index);
  // Bytes of an earlier term's entries were never counted as proposals of this one.
  node.uncommittedBytes = Math.max(0, node.uncommittedBytes - log.dataBytes(before, index));
  return true;
}

/** Raft §5.3, with the skipping of whole terms: on both sides the hint passes over what cannot agree. */
function handleRejected(node: RaftNode, { from, index, hint }: AppendRejected): void {
  const progress = node.tracker.progress.get(from);
  if (progress === undefined) return;
  const match = hint.term > 0 ? node.log.lastPossibleMatch(hint.index, hint.term).index : hint.index;
  if (!progress.maybeDecrementTo(index, match)) return;
  if (progress.state === "replicate") progress.becomeProbe();
  sendAppend(node, from);
}

function handleAccepted(node: RaftNode, { from, index }: AppendAccepted): void {
  const { log } = node;
  const progress = node.tracker.progress.get(from);
  if (progress === undefined) return;
  const isNews = progress.maybeUpdate(index) || (progress.match === index && progress.state === "probe");
  if (!isNews) return;
  if (progress.state === "probe") {
    progress.becomeReplicate();
  } else if (progress.state === "replicate") {
    progress.inflights.freeTo(index);
  } else if (progress.match >= log.compacted.index) {
    // The log reaches back to it: by which snapshot it got there does not matter.
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  if (advanceCommit(node)) {
    releasePostponedReads(node);
    broadcastAppend(node);
  } else if (from !== node.id && progress.canBumpCommit(log.committed)) {
    sendAppend(node, from);
  }
  if (from !== node.id) while (sendAppend(node, from, { evenIfEmpty: false }));
  if (from === node.transferee && progress.match === log.lastIndex) {
    node.send({ kind: "timeoutNow", to: from });
  }
}

/** Thesis §6.2: a leader that no quorum has answered for an election timeout may have been replaced. */
function checkQuorum(node: RaftNode): void {
  if (!node.tracker.quorumActive()) node.becomeFollower(node.term, NONE);
  for (const [id, progress] of node.tracker.progress) if (id !== node.id) progress.recentActive = false;
}
