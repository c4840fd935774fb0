import type { Entry, EntryId, ProposedEntry, SnapshotMeta } from "./types.ts";

/** Between whom a message goes. `term` is the sender's; of the two vote requests and a granted pre-vote, the wanted one. */
interface Envelope {
  readonly from: bigint;
  readonly to: bigint;
  readonly term: number;
}

/** Entries behind `prev`, and the leader's commit (Raft §5.3, AppendEntries). Without entries: a probe, or news of the commit. */
export interface AppendMessage extends Envelope {
  readonly kind: "append";
  readonly prev: EntryId;
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** The follower's log is on disk and equals the leader's up to `index`. */
export interface AppendAccepted extends Envelope {
  readonly kind: "appendResponse";
  readonly reject: false;
  readonly index: number;
}

/**
 * The follower has no entry like the append's `prev`, whose index is `index`. `hint`: the last place where the logs may
 * still agree, with the term that the follower has there (thesis §3.10 on skipping terms; term 0: none).
 */
export interface AppendRejected extends Envelope {
  readonly kind: "appendResponse";
  readonly reject: true;
  readonly index: number;
  readonly hint: EntryId;
}

/** Asks for a vote; `last` is the candidate's last entry (Raft §5.4.1). A pre-vote changes nothing at its receiver (thesis §9.6). */
export interface VoteMessage extends Envelope {
  readonly kind: "vote" | "preVote";
  readonly last: EntryId;
  /** The leader asked for this election: it may disturb a leader that is heard (thesis §3.10). */
  readonly isTransfer: boolean;
}

export interface VoteResponse extends Envelope {
  readonly kind: "voteResponse" | "preVoteResponse";
  readonly reject: boolean;
}

/** `commit` is no further than what the receiver is known to hold. */
export interface HeartbeatMessage extends Envelope {
  readonly kind: "heartbeat";
  readonly commit: number;
  /** Position in the leader's queue of reads up to which an answer confirms them; 0: no read waits. */
  readonly readPosition: number;
}

export interface HeartbeatResponse extends Envelope {
  readonly kind: "heartbeatResponse";
  readonly readPosition: number;
}

/** A snapshot's description; its content travels beside it, by the driver. */
export interface SnapshotMessage extends Envelope {
  readonly kind: "snapshot";
  readonly snapshot: SnapshotMeta;
}

/** Campaign at once (leadership transfer, thesis §3.10). */
export interface TimeoutNowMessage extends Envelope {
  readonly kind: "timeoutNow";
}

/**
 * A follower's proposal on its way to the leader. `id` is unique among proposals of all members: with the term it makes
 * sure that a message that arrives twice is appended once.
 */
export interface ProposeMessage extends Envelope {
  readonly kind: "propose";
  readonly id: bigint;
  readonly entry: ProposedEntry;
}

/** A follower's question for a read index (thesis §6.4); `context` is unique among the questions of all members. */
export interface ReadIndexMessage extends Envelope {
  readonly kind: "readIndex";
  readonly context: bigint;
}

export interface ReadIndexResponse extends Envelope {
  readonly kind: "readIndexResponse";
  readonly context: bigint;
  readonly index: number;
}

/** A follower passes on the wish that `transferee` lead. */
export interface TransferLeaderMessage extends Envelope {
  readonly kind: "transferLeader";
  readonly transferee: bigint;
}

/** What members say to each other (etcd raftpb Message, one shape a kind). */
export type Message =
  | AppendMessage
  | AppendAccepted
  | AppendRejected
  | VoteMessage
  | VoteResponse
  | HeartbeatMessage
  | HeartbeatResponse
  | SnapshotMessage
  | TimeoutNowMessage
  | ProposeMessage
  | ReadIndexMessage
  | ReadIndexResponse
  | TransferLeaderMessage;
