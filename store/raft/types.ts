/**
 * The words of the consensus core, after etcd-io/raft's `doc.go` (AsyncStorageWrites). Terms and indexes are safe
 * integers; index 0 is "before the first entry". Member ids are 64-bit; 0n is "none".
 */
export interface Entry {
  readonly term: number;
  readonly index: number;
  readonly kind: EntryKind;
  /** The proposal's bytes, shared, never written to; empty in the entry with which a leader opens its term. */
  readonly data: Uint8Array;
}

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

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** A linearizable read's answer: state applied up to `index` may serve the read that asked with `context`. */
export interface ReadState {
  readonly index: number;
  readonly context: number;
}

/**
 * One round of work. `ready()` may be taken again while earlier rounds' writes are outstanding; `persisted` and
 * `applied` report them done, in order.
 */
export interface Ready {
  /**
   * What to report with {@link RaftCore.persisted} once `hardState` and `entries` are on disk: the last entry of the log
   * as of this round. Undefined when this round has nothing to write.
   */
  readonly write: EntryId | undefined;
  /** To be persisted with `entries`, in one write; undefined when nothing changed. */
  readonly hardState: HardState | undefined;
  /** To be persisted; they may overwrite a tail that was persisted earlier with a lower term. */
  readonly entries: readonly Entry[];
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
  readonly voters: readonly bigint[];
  readonly hardState: HardState;
  /** All on disk; contiguous, the first directly after `compacted`. */
  readonly entries: readonly Entry[];
  /** Last index (and its term) that is no longer in the log, because the backend holds its effect durably. */
  readonly compacted: EntryId;
  /** Applied and flushed by the backend; not handed out for applying again. */
  readonly applied: number;
}

/** The consensus core as its driver sees it: pure, no clock, no disk, no network. */
export interface RaftCore {
  /** One tick of the election and heartbeat clock. */
  tick(): void;
  /** Appends a proposal (the bytes are the core's from now on), or says why not. */
  propose(data: Uint8Array): ProposeOutcome;
  /**
   * Asks for a read index; answered by a {@link ReadState} with the same context. False when there is no leader, or when
   * more reads wait than {@link RaftLimits.pendingReads}.
   */
  readIndex(context: number): boolean;
  /** The work that is due; undefined when there is none. */
  ready(): Ready | undefined;
  /**
   * The oldest outstanding write (its {@link Ready.write}, and the hard state that came with it) is on disk. Called once
   * for each, in the order in which `ready()` gave them.
   */
  persisted(write: EntryId): void;
  /** Everything up to `index` has been applied. */
  applied(index: number): void;
  /** The backend holds everything up to `index` durably: the log below may be forgotten. */
  compact(index: number): void;
  readonly status: RaftStatus;
}

/** "notLeader": answer "no leader". "tooManyUncommitted": {@link RaftLimits.uncommittedBytes} are waiting already. */
export type ProposeOutcome = "accepted" | "notLeader" | "tooManyUncommitted";

/** The bounds of what the core holds and hands out. A single entry above a byte limit passes alone. */
export interface RaftLimits {
  /** Ticks without a leader before a follower campaigns; each wait is drawn from [n, 2n) (Raft §5.2). */
  readonly electionTicks: number;
  /** Bytes of proposals that are in the log and not committed. */
  readonly uncommittedBytes: number;
  /** Bytes of entries in one round's `entries`. */
  readonly writeBytes: number;
  /** Entries, and bytes of them, in one round's `committed`; the next round waits for {@link RaftCore.applied}. */
  readonly committedEntries: number;
  readonly committedBytes: number;
  /** Reads that wait for their index. */
  readonly pendingReads: number;
}

export interface RaftStatus extends SoftState {
  readonly id: bigint;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
}
