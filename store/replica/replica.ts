import type { ApplyOutcome, StateMachine } from "../apply/types.ts";
import type { ConfChange } from "../raft/conf-change.ts";
import type { ProgressView } from "../raft/progress.ts";
import type { RaftStatus, SoftState } from "../raft/types.ts";

export interface ProposeOptions {
  readonly signal: AbortSignal;
  /**
   * Only into the log of this member, and only while it leads in this term: otherwise NotLeader. Without it a proposal goes to
   * whoever leads.
   */
  readonly leaderTerm?: number;
}

/**
 * One member's replicated state machine as the services see it: what stands between them and propose → WAL → apply.
 * With one member or five, nothing above this line changes.
 */
export interface Replica {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly status: RaftStatus;
  readonly state: StateMachine;
  /**
   * Proposes a marshalled InternalRaftRequest whose header carries `requestId` and resolves with its outcome once it is
   * durable (fsynced by a quorum) and applied. Rejects with StoreError: Timeout, Stopped, NoLeader, TooManyRequests
   * (more than the limit of proposals is waiting).
   */
  propose(requestId: bigint, data: Uint8Array, options: ProposeOptions): Promise<ApplyOutcome>;
  /** Like propose, for a change of the configuration whose context names the request (configuration.proto). */
  proposeConfChange(
    requestId: bigint,
    change: ConfChange,
    options: { readonly signal: AbortSignal },
  ): Promise<ApplyOutcome>;
  /**
   * Hands leadership to a voter and resolves when this member sees it lead. Rejects with StoreError TimeoutLeaderTransfer
   * after an election timeout.
   */
  transferLeader(to: bigint, options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * From now on `listener` is told each change of role, leader or term, after it has come about; it must not throw. Gives what
   * ends that.
   */
  onLeadership(listener: (state: SoftState) => void): () => void;
  /** How far each member is, as the leader knows; empty at others. */
  progress(): ReadonlyMap<bigint, ProgressView>;
  /** Resolves when the applied state may serve a linearizable read that arrived before the call. */
  readIndex(options: { readonly signal: AbortSignal }): Promise<void>;
  /** Resolves when the records that a compaction applied so far has to drop are gone. Rejects with StoreError Stopped. */
  compacted(options: { readonly signal: AbortSignal }): Promise<void>;
  /** A request id no other member and no earlier run uses (etcd `idutil`: member, time, counter). */
  nextRequestId(): bigint;
}
