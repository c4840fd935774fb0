import type { StoreError } from "../proto/errors.ts";
import type { RangeRequest, RangeResponse, TxnRequest } from "../proto/gen/rpc.ts";
import type { Entry } from "../raft/types.ts";

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
  /** Applies the next entry (`entry.index === appliedIndex + 1`). Never throws for bad input: that is an answer. */
  apply(entry: Entry): Applied;
  /**
   * A read at the applied state (linearizable only after a read index). A generator, because a large answer must not
   * hold the event loop: it yields between bounded steps, and the driver decides when to go on. All steps read one
   * revision. Throws StoreError (Compacted, FutureRev, …). The header is left empty for the server to fill.
   */
  range(request: RangeRequest): Generator<undefined, EncodedRange>;
  /** The part of compaction that is not replicated: deletes a bounded number of old records; false when none is left. */
  compactStep(): boolean;
  /** Makes what is applied durable in the backend and advances `flushedIndex`. */
  flush(): Promise<void>;
}

/** Range's answer with the records still marshalled, for the server to splice behind a header (rpc.proto RangeResponse). */
export interface EncodedRange {
  readonly revision: number;
  /** Marshalled `mvccpb.KeyValue` each, shared with the backend, never written to. */
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

/** What applying one entry gave. `requestId` finds the waiting call (0n: nobody waits). */
export interface Applied {
  readonly requestId: bigint;
  readonly outcome: ApplyOutcome;
}

/**
 * `response` is the marshalled response message of the call with its header left out (put: PutResponse, txn:
 * TxnResponse, …); the server puts the header in front. `revision` is the store's after the entry.
 */
export type ApplyOutcome =
  | { readonly kind: "done"; readonly revision: number; readonly response: Uint8Array }
  | { readonly kind: "refused"; readonly revision: number; readonly error: StoreError };

/** True for a transaction without a write in any branch: served as a read, never proposed. */
export type IsReadOnly = (request: TxnRequest) => boolean;

export type { RangeResponse };
