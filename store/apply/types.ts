import type { RunSteps } from "../../base/steps.ts";
import type { Backend } from "../backend/port.ts";
import type { Lessor } from "../lease/types.ts";
import type { Member } from "../membership/types.ts";
import type { RangeAnswer } from "../mvcc/read-range.ts";
import type { StoreError } from "../proto/errors.ts";
import type { InternalRaftRequest } from "../proto/gen/internal.ts";
import type { AlarmMember, RangeRequest, TxnRequest } from "../proto/gen/rpc.ts";
import type { ConfChange } from "../raft/conf-change.ts";
import type { ConfState, Entry } from "../raft/types.ts";
import type { WatchHub } from "../watch/types.ts";

/**
 * The replicated state machine: entries in, answers out. The same entries give the same state on every member, bit for
 * bit; no clock, no randomness. Backed by MVCC, leases and a backend; its applied index commits with its data.
 */
export interface StateMachine {
  /** Index of the last entry applied (in memory); survives a restart up to what the backend committed. */
  readonly appliedIndex: number;
  /** Term of that entry. */
  readonly appliedTerm: number;
  /** Applied index that a finished backend commit covers: the WAL may be cut below it. */
  readonly flushedIndex: number;
  /** MVCC revision; 1 in an empty store. */
  readonly revision: number;
  /** Who votes and who listens as of the applied index; nobody, before the entries that name the first members. */
  readonly confState: ConfState;
  /** Who belongs to the cluster, ascending by id. */
  readonly members: readonly Member[];
  /** Ids of those that belong to it no longer, and never will again. */
  readonly removedMembers: ReadonlySet<bigint>;
  /**
   * Applies the next entry (`entry.index === appliedIndex + 1`). Never throws for bad input: that is an answer. A
   * "confChange" that takes effect goes to `configure` first, the core's applyConfChange. A generator, because a deletion of
   * a million keys must not hold the event loop: it yields between bounded steps. Reads go on meanwhile, without the entry;
   * a flush waits for its end; the next entry comes after it. One that is given up (`return()`) leaves a state that can only
   * be opened anew.
   */
  apply(entry: Entry, configure: Configure): Generator<undefined, Applied>;
  /**
   * Names the one member of a backend that was written when clusters had one and did not name it; otherwise nothing. To be
   * called before anything is applied.
   */
  adoptLoneMember(member: Member): void;
  /**
   * A read at the applied state (linearizable only after a read index). A generator, because a large answer must not
   * hold the event loop: it yields between bounded steps, and the driver decides when to go on. All steps read one
   * revision; compaction waits for it, so the driver must finish it or call its `return()`. Throws StoreError
   * (Compacted, FutureRev, Corrupt). The header is left empty for the server to fill.
   */
  range(request: RangeRequest): Generator<undefined, EncodedRange>;
  /**
   * A read-only transaction (validate.ts, isReadOnly), in steps like `range`; gives the marshalled TxnResponse without its
   * header.
   */
  readTxn(
    request: TxnRequest,
  ): Generator<undefined, { readonly revision: number; readonly response: Buffer }>;
  /** HashKV of this member (rpc.proto HashKVRequest), in steps like `range`; 0: at the newest revision. */
  hashKv(revision: number): Generator<undefined, KvHash>;
  /** A hash of the whole state (backend-hash.ts), in steps like `range`. */
  hash(): Generator<undefined, number>;
  /** Revision of the last compaction; -1 when there was none (as etcd tells it in HashKVResponse). */
  readonly compactRevision: number;
  /** What the last few compactions that were carried out here hashed, each at its own revision; the newest last. */
  readonly compactionHashes: readonly KvHash[];
  /** Alarms that are raised, by member id. */
  readonly alarms: readonly AlarmMember[];
  /**
   * False when the request would grow the backend over its quota: then the server proposes the alarm NOSPACE for this
   * member and answers NoSpace. Asked before proposing, because sizes differ between members; what apply itself refuses
   * is decided by the replicated alarm alone.
   */
  hasRoom(request: RaftRequest): boolean;
  /** Figures of the backend file for Status, in bytes (StatusResponse.dbSize, dbSizeInUse, dbSizeQuota). */
  size(): { readonly totalBytes: number; readonly inUseBytes: number; readonly quotaBytes: number };
  /** The part of compaction that is not replicated: deletes a bounded number of old records; false when none is left. */
  compactStep(): boolean;
  /** Makes what is applied durable in the backend and advances `flushedIndex`. Calls made meanwhile share the next one. */
  flush(): Promise<void>;
  /**
   * Puts a received snapshot (a file that a backend's `copy` made) in the place of all state, durably; what is served from
   * this state stays the same objects. It is ahead of what was applied. Reads that are under way, and those that are asked
   * for meanwhile, throw StoreError InstallingSnapshot; nothing may be applied; watchers wait, and catch up afterwards from
   * where they are. Long parts go through `run`. Afterwards there may be compaction to do. A rejection is final.
   */
  install(path: string, run: RunSteps): Promise<void>;
}

/** Makes a change of the configuration take effect, and gives the configuration from then on. */
export type Configure = (change: ConfChange) => ConfState;

/** What an entry of the log asks for. */
export type RaftRequest = NonNullable<InternalRaftRequest["request"]>;

/** Range's answer with the records still marshalled, for the server to splice behind a header (rpc.proto RangeResponse). */
export interface EncodedRange extends RangeAnswer {
  readonly revision: number;
}

/** What applying one entry gave. `requestId` finds the waiting call (0n: nobody waits). */
export interface Applied {
  readonly requestId: bigint;
  readonly outcome: ApplyOutcome;
}

/**
 * `response` is the marshalled response message of the call with its header left out (put: PutResponse, txn:
 * TxnResponse, …; of a change of the members: MemberAddResponse, …); the server puts the header in front. `revision` is
 * the store's after the entry.
 */
export type ApplyOutcome =
  | { readonly kind: "done"; readonly revision: number; readonly response: Uint8Array }
  | { readonly kind: "refused"; readonly revision: number; readonly error: StoreError };

/** HashKVResponse without its header. */
export interface KvHash {
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

export interface StateMachineOptions {
  /** Open; stays the caller's to close, after the last flush. */
  readonly backend: Backend;
  /** etcd `--quota-backend-bytes`: 0 is 2 GiB, below 0 no limit. Held against the bytes in use. */
  readonly quotaBytes: number;
  /** Shorter TTLs are raised to it (etcd: 1.5 election timeouts, rounded up to whole seconds; 2 by default). */
  readonly minLeaseTtlSeconds: number;
}

/** One member's state and what is served from it, opened together because they share the index and the backend. */
export interface OpenedStateMachine {
  readonly state: StateMachine;
  readonly watchHub: WatchHub;
  readonly lessor: Lessor;
}
