import type { ConfChange } from "./conf-change.ts";
import type { Message } from "./message.ts";
import type { ProgressView } from "./progress.ts";

/** "No member": an unknown leader, a vote not given. */
export const NONE = 0n;

/**
 * The words of the consensus core, after etcd-io/raft's `doc.go` (AsyncStorageWrites). Terms and indexes are safe
 * integers; index 0 is "before the first entry". Member ids are 64-bit; 0n is {@link NONE}.
 */
export interface Entry extends ProposedEntry {
  readonly term: number;
  readonly index: number;
}

export interface ProposedEntry {
  readonly kind: EntryKind;
  /**
   * The proposal's bytes, shared, never written to; empty in the entry with which a leader opens its term, and in the
   * "confChange" that leaves a joint configuration.
   */
  readonly data: Uint8Array;
}

/** The data of a "confChange" is an encoded {@link ConfChange}. */
export type EntryKind = "normal" | "confChange";

/** An entry without its data; {0, 0} is "before the first entry". */
export interface EntryId {
  readonly term: number;
  readonly index: number;
}

/** What must be on disk before a message that depends on it leaves (Raft, figure 2, "Persistent state"). */
export interface HardState {
  readonly term: number;
  readonly vote: bigint;
  readonly commit: number;
}

/** Who votes and who listens, as of an applied entry (etcd raftpb ConfState). Ids in ascending order. */
export interface ConfState {
  readonly voters: readonly bigint[];
  /** Voters of the configuration that a joint one is leaving; empty when it is not joint. */
  readonly votersOutgoing: readonly bigint[];
  readonly learners: readonly bigint[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly bigint[];
  /** The leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** What a snapshot of the state holds: every entry up to this one, and the configuration as of it. */
export interface SnapshotMeta extends EntryId {
  readonly confState: ConfState;
}

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** A linearizable read's answer: state applied up to `index` may serve the read that asked with `context`. */
export interface ReadState {
  readonly index: number;
  readonly context: bigint;
}

/** What one round wants on disk, in one write; reported with {@link RaftCore.persisted}, in the order of the rounds. */
export interface Write {
  /** Undefined when nothing changed. Its commit is never ahead of the entries that are handed out. */
  readonly hardState: HardState | undefined;
  /** They may overwrite a tail that was written before. */
  readonly entries: readonly Entry[];
  /** Replaces log and state: to be installed before it is reported. Entries follow it. */
  readonly snapshot: SnapshotMeta | undefined;
  /** False when only the commit moved, or nothing: the disk may wait for a later round. */
  readonly mustSync: boolean;
  /**
   * To leave when this write and those before it are on disk: each promises something that they hold. One addressed to
   * this member itself goes to {@link RaftCore.step}, before the write is reported.
   */
  readonly responses: readonly Message[];
  /** Last entry of the log as of this round; undefined when all of it was reported on disk already. */
  readonly upTo: EntryId | undefined;
  /** This member's term as of this round. */
  readonly term: number;
}

/**
 * One round of work. `ready()` may be taken again while earlier rounds' writes are outstanding; `persisted` and
 * `applied` report them done, in order.
 */
export interface Ready {
  readonly write: Write | undefined;
  /** To leave at once; none is addressed to this member. */
  readonly messages: readonly Message[];
  /** Committed and persisted here, to be applied, in order, each once. */
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Role, leader and term, when they changed. */
  readonly softState: SoftState | undefined;
}

export interface SoftState {
  readonly role: Role;
  readonly leader: bigint;
  readonly term: number;
}

/** What a member knows of itself after a restart: hard state, and the entries behind what its backend has applied. */
export interface RaftStart {
  readonly id: bigint;
  /** As of `applied`; nobody in it: a member that has yet to apply the entries (or the snapshot) that name the first ones. */
  readonly confState: ConfState;
  readonly hardState: HardState;
  /** All on disk; contiguous, the first directly after `compacted`. */
  readonly entries: readonly Entry[];
  /** Last index (and its term) that is no longer in the log, because the backend holds its effect durably. */
  readonly compacted: EntryId;
  /** Applied and flushed by the backend; not handed out for applying again. */
  readonly applied: number;
}

export interface RaftOptions {
  readonly limits: RaftLimits;
  readonly policy: RaftPolicy;
  readonly random: { next(): number; uint64(): bigint };
  /** What a snapshot made now would hold, for a follower whose entries are gone; undefined: none can be made now. */
  readonly snapshot: () => SnapshotMeta | undefined;
}

/** The consensus core as its driver sees it: pure, no clock, no disk, no network. */
export interface RaftCore {
  /** One tick of the election and heartbeat clock. */
  tick(): void;
  /** Takes in a message of another member, or one of {@link Write.responses} that is addressed to this one. */
  step(message: Message): void;
  /** Starts an election now, unless it leads or may not vote. */
  campaign(): void;
  /** Appends a proposal, or sends it to the leader (the bytes are the core's from now on), or says why not. */
  propose(data: Uint8Array): ProposeOutcome;
  /** Like propose. One change at a time: while another may be unapplied, an empty entry is appended in its place. */
  proposeConfChange(change: ConfChange): ProposeOutcome;
  /**
   * To be called for each committed "confChange" that is to take effect, when it is applied and before `applied` tells
   * so. Returns the configuration from now on, which the state keeps with the applied index.
   */
  applyConfChange(change: ConfChange): ConfState;
  /**
   * Asks for a read index; answered by a {@link ReadState} with the same context, which is unique among all that members
   * ever ask. "noLeader": nobody to ask. "tooMany": {@link RaftLimits.pendingReads} wait. An accepted question may get lost
   * with a message or a leader, and is then to be asked again, with a new context.
   */
  readIndex(context: bigint): "accepted" | "noLeader" | "tooMany";
  /** Hands leadership to a voter (thesis §3.10); nothing happens without a leader. See {@link RaftStatus.transferee}. */
  transferLeader(transferee: bigint): void;
  /** A message could not be delivered: the leader goes back to probing. */
  reportUnreachable(id: bigint): void;
  /** A snapshot was delivered and taken, or not. */
  reportSnapshot(id: bigint, outcome: "delivered" | "failed"): void;
  /** The work that is due; undefined when there is none. */
  ready(): Ready | undefined;
  /** The oldest outstanding write is on disk, its snapshot installed, its own responses stepped. */
  persisted(write: Write): void;
  /** Everything up to `index` has been applied. */
  applied(index: number): void;
  /**
   * The backend holds everything up to `index` durably: the log up to there may be forgotten, but for the newest of it
   * that `keep` allows. Returns the last index that is forgotten.
   */
  compact(index: number, keep: KeptEntries): number;
  readonly status: RaftStatus;
  readonly confState: ConfState;
  /** How far each member is, as the leader knows; empty at others. In ascending order of ids. */
  progress(): ReadonlyMap<bigint, ProgressView>;
}

/**
 * "noLeader": nobody to give it to. "transferring": the leader hands over, and takes none. "tooManyUncommitted":
 * {@link RaftLimits.uncommittedBytes} are waiting already. "removed": this member leads, and is no longer in the configuration.
 */
export type ProposeOutcome = "accepted" | "noLeader" | "transferring" | "tooManyUncommitted" | "removed";

/** How much of a log stays though it is applied and flushed, for followers that lag: a snapshot would cost more. */
export interface KeptEntries {
  readonly entries: number;
  /** Of their data. */
  readonly bytes: number;
}

/** The bounds of what the core holds and hands out. A single entry above a byte limit passes alone. */
export interface RaftLimits {
  /** Ticks without a leader before a follower campaigns; each wait is drawn from [n, 2n) (Raft §5.2). */
  readonly electionTicks: number;
  /** Ticks between two heartbeats of a leader. */
  readonly heartbeatTicks: number;
  /** Bytes of proposals that are in the leader's log and not committed, or not on its disk. */
  readonly uncommittedBytes: number;
  /** Bytes of entries in one append message. */
  readonly appendBytes: number;
  /** Append messages, and bytes in them, that are on their way to one follower. */
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  /** Bytes of entries that are handed out for applying and not reported as applied. */
  readonly applyingBytes: number;
  /** Reads that wait for their index. */
  readonly pendingReads: number;
}

/** The rules that etcd-io/raft leaves to choice; a server has all of them on. */
export interface RaftPolicy {
  /** Ask whether an election could be won before a term is spent on it (thesis §9.6). */
  readonly preVote: boolean;
  /** A leader that hears no quorum steps down; a follower that hears one helps nobody depose it (thesis §6.2). */
  readonly checkQuorum: boolean;
  /** A leader that is removed, or made a learner, steps down as soon as it has applied that. */
  readonly stepDownOnRemoval: boolean;
  /** Refuse, when it is proposed, a change that does not fit the configuration. */
  readonly validateConfChanges: boolean;
}

export interface RaftStatus extends SoftState {
  readonly id: bigint;
  readonly vote: bigint;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly isLearner: boolean;
  /** To whom this leader hands over; 0n: nobody. */
  readonly transferee: bigint;
}
