import type { RaftLimits } from "../raft/types.ts";
import type { FlushLimits } from "./flusher.ts";

const MIB = 1024 * 1024;

/** Every bound and period of a replica. */
export interface ReplicaLimits extends RaftLimits, FlushLimits {
  /** Period of the election clock (etcd `--heartbeat-interval`). */
  readonly tickMs: number;
  /** How long a call may wait (etcd: 5 s and two election timeouts). */
  readonly requestTimeoutMs: number;
  /** Committed entries that may wait to be applied before proposals are refused (etcd v3_server.go). */
  readonly unappliedEntries: number;
  /** Calls of propose, and of readIndex, that wait. */
  readonly waitingProposals: number;
  readonly waitingReads: number;
  /** A question for a read index that has no answer for this long is asked again (etcd: 500 ms). */
  readonly readRetryMs: number;
  /** Bytes of entries in one batch of the WAL, after which it takes no more rounds. */
  readonly writeBytes: number;
  /** Longest stretch of applying before other work gets its turn. */
  readonly applyMs: number;
  /** Size of a WAL segment. */
  readonly segmentBytes: number;
}

export const DEFAULT_REPLICA_LIMITS: ReplicaLimits = {
  tickMs: 100,
  electionTicks: 10,
  heartbeatTicks: 1,
  requestTimeoutMs: 7000,
  unappliedEntries: 5000,
  waitingProposals: 20_000,
  waitingReads: 100_000,
  uncommittedBytes: 64 * MIB,
  writeBytes: 8 * MIB,
  applyingBytes: 4 * MIB,
  appendBytes: MIB,
  inflightMessages: 512,
  inflightBytes: 16 * MIB,
  pendingReads: 4096,
  readRetryMs: 500,
  applyMs: 10,
  flushBytes: 4 * MIB,
  flushMs: 100,
  unflushedBytes: 256 * MIB,
  keptEntries: 5000,
  keptBytes: 64 * MIB,
  segmentBytes: 64 * MIB,
};
