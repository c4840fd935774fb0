import type { ReadIndexMessage } from "./message.ts";
import type { RaftNode } from "./raft-node.ts";
import type { AnsweredRead, ReadRequest } from "./read-index.ts";
import { broadcastHeartbeat } from "./replication.ts";

/** The leader takes a question for a read index (thesis §6.4); false when its queue is full. */
export function askAsLeader(node: RaftNode, request: ReadRequest): boolean {
  if (node.reads.isFull) return false;
  const commit = node.knownCommit;
  node.reads.add(request, commit);
  if (commit !== undefined) confirmReads(node);
  return true;
}

/** A follower's question; when the queue is full it is dropped, and asked again by who waits for it. */
export function handleReadIndex(node: RaftNode, { from, context }: ReadIndexMessage): void {
  askAsLeader(node, { from, context });
}

/** The leader has committed an entry of its term: it knows now what it could not tell before. */
export function releasePostponedReads(node: RaftNode): void {
  const commit = node.knownCommit;
  if (commit === undefined || !node.reads.hasPostponed) return;
  node.reads.releasePostponed(commit);
  confirmReads(node);
}

/** Answers the reads that a quorum has confirmed. */
export function answerConfirmed(node: RaftNode): void {
  for (const read of node.reads.takeConfirmed(node.tracker.config.voters)) answer(node, read);
}

/** The leader's own word is given at once; the others are asked, unless it is enough. */
function confirmReads(node: RaftNode): void {
  node.reads.acknowledge(node.id, node.reads.position);
  answerConfirmed(node);
  if (node.reads.position > 0) broadcastHeartbeat(node);
}

function answer(node: RaftNode, { from, context, index }: AnsweredRead): void {
  if (from === node.id) node.readStates.push({ index, context });
  else node.send({ kind: "readIndexResponse", to: from, context, index });
}
