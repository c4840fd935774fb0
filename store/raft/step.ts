import { handleTimeoutNow, handleVote, handleVoteResponse } from "./election.ts";
import { handleAppend, handleHeartbeat, handleSnapshot, hearLeader } from "./follower.ts";
import { handleAppendResponse, handleHeartbeatResponse, handleTransferLeader } from "./leader.ts";
import type { AppendMessage, HeartbeatMessage, Message, SnapshotMessage } from "./message.ts";
import { handlePropose } from "./proposals.ts";
import type { RaftNode } from "./raft-node.ts";
import { handleReadIndex } from "./reads.ts";
import { NONE } from "./types.ts";

/** A message comes in: its term says whether it is taken at all, its kind and this member's role by which rule. */
export function step(node: RaftNode, message: Message): void {
  // A removed member's answer is none, whatever its term: it could depose the leader with it. Its requests are read: this
  // member's configuration may be the one that is behind.
  if (isResponse(message) && !node.tracker.progress.has(message.from)) return;
  if (message.term < node.term) answerPast(node, message);
  else if (message.term === node.term || adopts(node, message)) take(node, message);
}

function isResponse({ kind }: Message): boolean {
  switch (kind) {
    case "appendResponse":
    case "voteResponse":
    case "preVoteResponse":
    case "heartbeatResponse":
    case "readIndexResponse":
      return true;
    default:
      return false;
  }
}

/** A message of a term that is over. */
function answerPast(node: RaftNode, message: Message): void {
  const { preVote, checkQuorum } = node.options.policy;
  if (message.kind === "append" || message.kind === "heartbeat") {
    // This member is ahead of its leader, which it would not follow, and whom by these rules it cannot depose with its
    // votes alone: the answer's term makes the leader step down, and a new election frees both.
    if (!preVote && !checkQuorum) return;
    node.respond({ kind: "appendResponse", to: message.from, reject: false, index: 0 });
  } else if (message.kind === "preVote") {
    // Without an answer, members of which one has a longer log and the other a higher term would wait for ever.
    node.respond({ kind: "preVoteResponse", to: message.from, reject: true });
  }
}

/** A message of a later term: true when it is to be taken, in that term or, of the pre-votes, in the present one. */
function adopts(node: RaftNode, message: Message): boolean {
  const { kind, from, term } = message;
  if (kind === "vote" || kind === "preVote") {
    // Thesis §6.2 and §4.2.3: a member that hears a leader helps nobody depose it, such as one that has been removed.
    const hearsLeader = node.leader !== NONE && node.electionElapsed < node.options.limits.electionTicks;
    if (node.options.policy.checkQuorum && hearsLeader && !message.isTransfer) return false;
  }
  // Neither a wish nor its fulfilment is a term yet; a refusal comes in the refusing member's own.
  if (kind === "preVote" || (kind === "preVoteResponse" && !message.reject)) return true;
  const isFromLeader = kind === "append" || kind === "heartbeat" || kind === "snapshot";
  node.becomeFollower(term, isFromLeader ? from : NONE);
  return true;
}

function take(node: RaftNode, message: Message): void {
  const { kind } = message;
  switch (kind) {
    case "vote":
    case "preVote":
      handleVote(node, message);
      break;
    case "voteResponse":
    case "preVoteResponse":
      if (node.role === "candidate" || node.role === "preCandidate") handleVoteResponse(node, message);
      break;
    case "append":
    case "heartbeat":
    case "snapshot":
      // Raft §5.2: one leader a term; what claims to come from another one of this term is not taken.
      if (node.role !== "leader") takeFromLeader(node, message);
      break;
    case "timeoutNow":
      if (node.role === "follower") handleTimeoutNow(node);
      break;
    case "readIndexResponse":
      if (node.role !== "leader") node.readStates.push({ index: message.index, context: message.context });
      break;
    case "appendResponse":
      if (node.role === "leader") handleAppendResponse(node, message);
      break;
    case "heartbeatResponse":
      if (node.role === "leader") handleHeartbeatResponse(node, message);
      break;
    case "propose":
      if (node.role === "leader") handlePropose(node, message);
      break;
    case "readIndex":
      if (node.role === "leader") handleReadIndex(node, message);
      break;
    case "transferLeader":
      if (node.role === "leader") handleTransferLeader(node, message.transferee);
      break;
    default:
      kind satisfies never;
  }
}

function takeFromLeader(node: RaftNode, message: AppendMessage | HeartbeatMessage | SnapshotMessage): void {
  hearLeader(node, message.from);
  if (message.kind === "append") handleAppend(node, message);
  else if (message.kind === "heartbeat") handleHeartbeat(node, message);
  else handleSnapshot(node, message);
}
