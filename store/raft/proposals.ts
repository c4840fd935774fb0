import { proposeAsLeader } from "./leader.ts";
import type { ProposeMessage } from "./message.ts";
import type { RaftNode } from "./raft-node.ts";
import { proposeConfChangeAsLeader } from "./reconfiguration.ts";
import { NONE, type ProposedEntry, type ProposeOutcome } from "./types.ts";

/** Followers' proposals whose ids a leader remembers: far more than can be under way to it. */
const SEEN_PROPOSALS_MAX = 16_384;

/** Appends to the log, or sends to the leader, who may still drop it. */
export function propose(node: RaftNode, entry: ProposedEntry): ProposeOutcome {
  if (node.role === "leader") {
    return entry.kind === "confChange"
      ? proposeConfChangeAsLeader(node, entry)
      : proposeAsLeader(node, entry);
  }
  if (node.role !== "follower" || node.leader === NONE) return "noLeader";
  node.send({ kind: "propose", to: node.leader, id: node.options.random.uint64(), entry });
  return "accepted";
}

/**
 * A follower's proposal, of this leader's term: it is appended once, however often it comes. What came in an earlier
 * term is dropped by that term, and a leader never has two reigns in one.
 */
export function handlePropose(node: RaftNode, { id, entry }: ProposeMessage): void {
  if (node.seenProposals.has(id) || propose(node, entry) !== "accepted") return;
  node.seenProposals.add(id);
  if (node.seenProposals.size <= SEEN_PROPOSALS_MAX) return;
  for (const oldest of node.seenProposals) {
    node.seenProposals.delete(oldest);
    return;
  }
}
