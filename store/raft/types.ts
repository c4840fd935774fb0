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
  /** Contiguous, the first directly after `appliedIndex`'s snapshot point `compacted`. */
  readonly entries: readonly Entry[];
  /** Last index (and its term) that is no longer in the log, because the backend holds its effect durably. */
  readonly compacted: { readonly index: number; readonly term: number };
  /** Applied and flushed by the backend; not handed out for applying again. */
  readonly applied: number;
}

/** The consensus core as its driver sees it: pure, no clock, no disk, no network. */
export interface RaftCore {
  /** One tick of the election and heartbeat clock. */
  tick(): void;
  /** Appends a proposal; false when this member is not the leader (the caller answers "no leader"). */
  propose(data: Uint8Array): boolean;
  /** Asks for a read index; answered by a {@link ReadState} with the same context. False when there is no leader. */
  readIndex(context: number): boolean;
  /** The work that is due; undefined when there is none. */
  ready(): Ready | undefined;
  /** The write up to this entry (and the hard state that came with it) is on disk. */
  persisted(entry: { readonly term: number; readonly index: number }): void;
  /** Everything up to `index` has been applied. */
  applied(index: number): void;
  /** The backend holds everything up to `index` durably: the log below may be forgotten. */
  compact(index: number): void;
  readonly status: RaftStatus;
}

export interface RaftStatus extends SoftState {
  readonly id: bigint;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
}
