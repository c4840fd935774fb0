import { appendOwn } from "./leader.ts";
import type { VoteMessage, VoteResponse } from "./message.ts";
import type { RaftNode } from "./raft-node.ts";
import { broadcastAppend } from "./replication.ts";
import { NONE } from "./types.ts";

type Campaign = "preElection" | "election" | "transfer";

/** A tick of a member that does not lead. */
export function tickElection(node: RaftNode): void {
  node.electionElapsed += 1;
  if (!node.isPromotable) return;
  // Nobody else can lead: waiting for a leader to be heard would only delay the start.
  const isAlone = node.role === "follower" && node.tracker.isSingleton;
  if (!isAlone && node.electionElapsed < node.electionTimeout) return;
  if (isOwnVoteUnwritten(node)) return;
  node.electionElapsed = 0;
  campaign(node);
}

/** Starts an election, unless there is no sense in it. */
export function campaign(node: RaftNode): void {
  hup(node, node.options.policy.preVote ? "preElection" : "election");
}

/** The leader wants this member to lead. No pre-vote: this is no return from a partition (thesis §3.10). */
export function handleTimeoutNow(node: RaftNode): void {
  hup(node, "transfer");
}

/** A vote is asked for, in a term that is not behind this member's. */
export function handleVote(node: RaftNode, message: VoteMessage): void {
  const { from, last, kind } = message;
  const isFuture = kind === "preVote" && message.term > node.term;
  const isFree = node.vote === NONE && node.leader === NONE;
  const response = kind === "vote" ? "voteResponse" : "preVoteResponse";
  // A learner votes too: it may have been promoted, and not know it yet.
  if ((node.vote === from || isFree || isFuture) && node.log.isUpToDate(last)) {
    // In the candidate's term, not in the own one: a pre-candidate would take an answer of the past for a refusal.
    node.respond({ kind: response, to: from, reject: false }, message.term);
    if (kind === "preVote") return;
    node.electionElapsed = 0;
    node.vote = from;
  } else {
    node.respond({ kind: response, to: from, reject: true });
  }
}

/** A candidate counts a vote. */
export function handleVoteResponse(node: RaftNode, message: VoteResponse): void {
  const expected = node.role === "preCandidate" ? "preVoteResponse" : "voteResponse";
  if (message.kind !== expected) return;
  node.tracker.recordVote(message.from, !message.reject);
  switch (node.tracker.tally().result) {
    case "won":
      if (node.role === "preCandidate") stand(node, "election");
      else becomeLeader(node);
      break;
    case "lost":
      node.becomeFollower(node.term, NONE);
      break;
    case "pending":
  }
}

function hup(node: RaftNode, kind: Campaign): void {
  if (node.role === "leader" || !node.isPromotable) return;
  // A change that is committed and not applied may have made another quorum than the one that this member would ask.
  if (node.log.hasUnapplied("confChange")) return;
  stand(node, kind);
}

function stand(node: RaftNode, kind: Campaign): void {
  if (kind === "preElection") askForPreVotes(node);
  else askForVotes(node, { isTransfer: kind === "transfer" });
}

/** For the term that would come: the own one is spent only once the answer is known (thesis §9.6). */
function askForPreVotes(node: RaftNode): void {
  becomePreCandidate(node);
  const term = node.term + 1;
  const { last } = node.log;
  for (const to of node.tracker.voterIds()) {
    if (to === node.id) node.respond({ kind: "preVoteResponse", to, reject: false }, term);
    else node.send({ kind: "preVote", to, last, isTransfer: false }, term);
  }
}

/**
 * The requests, like the own vote, wait until term, vote and log are on disk. A member from which a crash took them could
 * stand for the term again: with a shorter log, and votes that were given to the longer one; or to lead a second time a
 * term in which it has sent out entries before.
 */
function askForVotes(node: RaftNode, { isTransfer }: { readonly isTransfer: boolean }): void {
  becomeCandidate(node);
  const { last } = node.log;
  for (const to of node.tracker.voterIds()) {
    if (to === node.id) node.respond({ kind: "voteResponse", to, reject: false });
    else node.respond({ kind: "vote", to, last, isTransfer });
  }
}

/** Changes neither term nor vote. */
function becomePreCandidate(node: RaftNode): void {
  node.tracker.resetVotes();
  node.role = "preCandidate";
  node.leader = NONE;
}

function becomeCandidate(node: RaftNode): void {
  node.reset(node.term + 1);
  node.role = "candidate";
  node.vote = node.id;
}

function becomeLeader(node: RaftNode): void {
  node.reset(node.term);
  node.role = "leader";
  node.leader = node.id;
  const own = node.tracker.progress.get(node.id);
  own?.becomeReplicate();
  if (own !== undefined) own.recentActive = true;
  // A change may be among the entries that are not committed yet; to look for it in all of them would take too long.
  node.pendingConfIndex = node.log.lastIndex;
  // Raft §5.4.2: entries of earlier terms are committed only by way of one of this term.
  appendOwn(node, { kind: "normal", data: new Uint8Array(0) });
  broadcastAppend(node);
}

/**
 * A disk that is slower than the election timeout: to campaign again would give up this candidacy for another with the
 * same fate, a term further on.
 */
function isOwnVoteUnwritten(node: RaftNode): boolean {
  return (node.role === "candidate" || node.role === "preCandidate") && !node.tracker.votes.has(node.id);
}
