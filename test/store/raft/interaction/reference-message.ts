import type { Message } from "../../../../store/raft/message.ts";
import type { EntryId, ProposedEntry, SnapshotMeta } from "../../../../store/raft/types.ts";

/** A message as the scripts print it: one shape for all kinds, in which zero is "not set" (etcd raftpb Message). */
export interface ReferenceMessage {
  readonly type: string;
  readonly from: bigint;
  readonly to: bigint;
  readonly term: number;
  readonly logTerm: number;
  readonly index: number;
  readonly reject: boolean;
  readonly rejectHint: number;
  readonly commit: number;
  readonly vote: bigint;
  readonly entries: readonly ReferenceEntry[];
  readonly snapshot: SnapshotMeta | undefined;
  readonly responses: readonly ReferenceMessage[];
}

/** A proposal that is not in a log yet has term and index 0. */
export type ReferenceEntry = EntryId & ProposedEntry;

/** Names that the scripts have for a member's disk and state machine, which are addressed as if they were members. */
export const APPEND_THREAD = 0xffff_ffff_ffff_ffffn;
export const APPLY_THREAD = 0xffff_ffff_ffff_fffen;

type Head = Pick<ReferenceMessage, "type" | "from" | "to">;

export function referenceMessage(head: Head, body: Partial<ReferenceMessage> = {}): ReferenceMessage {
  return {
    term: 0,
    logTerm: 0,
    index: 0,
    reject: false,
    rejectHint: 0,
    commit: 0,
    vote: 0n,
    entries: [],
    snapshot: undefined,
    responses: [],
    ...head,
    ...body,
  };
}

/** How the reference says what a member of ours says. */
export function toReference(message: Message): ReferenceMessage {
  const { from, to, term } = message;
  const as = (type: string, body: Partial<ReferenceMessage> = {}) =>
    referenceMessage({ type, from, to }, { term, ...body });
  switch (message.kind) {
    case "append": {
      const { prev, entries, commit } = message;
      return as("MsgApp", { logTerm: prev.term, index: prev.index, entries, commit });
    }
    case "appendResponse": {
      if (!message.reject) return as("MsgAppResp", { index: message.index });
      const { index, hint } = message;
      return as("MsgAppResp", { index, reject: true, rejectHint: hint.index, logTerm: hint.term });
    }
    case "vote":
    case "preVote": {
      const { last } = message;
      const type = message.kind === "vote" ? "MsgVote" : "MsgPreVote";
      return as(type, { logTerm: last.term, index: last.index });
    }
    case "voteResponse":
      return as("MsgVoteResp", { reject: message.reject });
    case "preVoteResponse":
      return as("MsgPreVoteResp", { reject: message.reject });
    case "heartbeat":
      return as("MsgHeartbeat", { commit: message.commit });
    case "heartbeatResponse":
      return as("MsgHeartbeatResp");
    case "snapshot":
      return as("MsgSnap", { snapshot: message.snapshot });
    case "timeoutNow":
      return as("MsgTimeoutNow");
    case "propose":
      // The reference sends proposals and questions without a term.
      return as("MsgProp", { term: 0, entries: [{ ...message.entry, term: 0, index: 0 }] });
    case "readIndex":
      return as("MsgReadIndex", { term: 0 });
    case "readIndexResponse":
      return as("MsgReadIndexResp", { index: message.index });
    case "transferLeader":
      // The reference puts the one who is to lead into the place of the sender.
      return as("MsgTransferLeader", { from: message.transferee });
    default:
      return message satisfies never;
  }
}

const RESPONSES: ReadonlySet<Message["kind"]> = new Set([
  "appendResponse",
  "voteResponse",
  "preVoteResponse",
  "heartbeatResponse",
  "readIndexResponse",
]);

export function isResponse(message: Message): boolean {
  return RESPONSES.has(message.kind);
}
