import { bytesOf } from "./entry-bytes.ts";
import type { RaftNode } from "./raft-node.ts";

/** Sends entries, or the commit, to every other member that may be sent something. */
export function broadcastAppend(node: RaftNode): void {
  for (const id of node.tracker.ids()) if (id !== node.id) sendAppend(node, id);
}

/** To members that lag: what they lack; nothing to the others. */
export function broadcastNews(node: RaftNode): void {
  for (const id of node.tracker.ids()) if (id !== node.id) sendAppend(node, id, { evenIfEmpty: false });
}

export function broadcastHeartbeat(node: RaftNode): void {
  for (const id of node.tracker.ids()) if (id !== node.id) sendHeartbeat(node, id);
}

/**
 * Sends the entries behind what is on the way to `to` already, or the snapshot when they are gone. Returns false when
 * nothing was sent: the follower's window is full, it waits for an answer to a probe, or there is nothing to say.
 */
export function sendAppend(node: RaftNode, to: bigint, { evenIfEmpty } = { evenIfEmpty: true }): boolean {
  const progress = node.tracker.progress.get(to);
  if (progress === undefined || progress.isPaused) return false;
  const { log } = node;
  const previous = progress.next - 1;
  const term = log.term(previous);
  if (term === undefined) return sendSnapshot(node, to);
  // With a full window an append without entries still goes out: should all that is under way be lost, its answer shows it.
  const isFull = progress.state === "replicate" && progress.inflights.isFull;
  const entries = isFull ? [] : log.entriesFrom(progress.next, node.options.limits.appendBytes);
  if (entries.length === 0 && !evenIfEmpty) return false;
  node.send({ kind: "append", to, prev: { term, index: previous }, entries, commit: log.committed });
  progress.sentEntries(entries.length, bytesOf(entries));
  progress.sentCommit(log.committed);
  return true;
}

/** A member that is not heard gets none: it would be made in vain. */
function sendSnapshot(node: RaftNode, to: bigint): boolean {
  const progress = node.tracker.progress.get(to);
  if (progress === undefined || !progress.recentActive) return false;
  const snapshot = node.options.snapshot();
  if (snapshot === undefined) return false;
  progress.becomeSnapshot(snapshot.index);
  node.send({ kind: "snapshot", to, snapshot });
  return true;
}

/** The commit goes along only as far as the member's log is known to equal this one. */
function sendHeartbeat(node: RaftNode, to: bigint): void {
  const progress = node.tracker.progress.get(to);
  if (progress === undefined) return;
  const commit = Math.min(progress.match, node.log.committed);
  node.send({ kind: "heartbeat", to, commit, readPosition: node.reads.position });
  progress.sentCommit(commit);
}
