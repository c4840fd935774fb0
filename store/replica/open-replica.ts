import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { StoreError } from "../proto/errors.ts";
import { Raft } from "../raft/raft.ts";
import { Wal, type WalIdentity } from "../wal/wal.ts";
import { type DrivenState, ReadyLoop } from "./ready-loop.ts";
import { DEFAULT_REPLICA_LIMITS, type ReplicaLimits } from "./replica-limits.ts";

export interface ReplicaOptions<State extends DrivenState> {
  readonly disk: Disk;
  /** Of the WAL; made when absent. One process at a time, which is the caller's to see to (base/folder-lock). */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** For a new log. An existing one keeps the ids it was made with (as etcd does), and the replica has those. */
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** As the backend holds it; what the log has behind its applied index is applied before the promise resolves. */
  readonly state: State;
  /** Called once when a write or a sync has failed: the process must end, everything is rejected with Stopped. */
  readonly onFatal: (error: unknown) => void;
  readonly limits?: Partial<ReplicaLimits>;
  /** Of the log that the backend belongs to; undefined while it belongs to none. */
  readonly logId?: bigint | undefined;
  /** Told the log's id before the first entry is applied, to be noted in the backend with it. */
  readonly onLogId?: (logId: bigint) => void;
}

/**
 * Opens the WAL, applies what it has, and starts a member of a cluster of one voter. Resolves when it serves: it leads,
 * and every entry of its log is applied. With a whole {@link StateMachine} the result is a {@link Replica}. The caller closes it before the state's backend. Throws WalError.
 */
export async function openReplica<State extends DrivenState>(
  options: ReplicaOptions<State>,
): Promise<ReadyLoop<State>> {
  const { clock, random, logger, state } = options;
  const limits = { ...DEFAULT_REPLICA_LIMITS, ...options.limits };
  const asked = { clusterId: options.clusterId, memberId: options.memberId };
  const after = { index: state.appliedIndex, term: state.appliedTerm };
  const { wal, identity, logId, hardState, entries } = await Wal.open({
    ...options,
    identity: asked,
    after,
    segmentBytes: limits.segmentBytes,
  });
  options.onLogId?.(logId);
  noteIdentity(logger, { asked, identity });
  try {
    const core = new Raft(
      {
        id: identity.memberId,
        voters: [identity.memberId],
        hardState,
        entries,
        compacted: after,
        applied: after.index,
      },
      { limits, random },
    );
    const loop = new ReadyLoop({
      core,
      wal,
      state,
      identity,
      clock,
      logger,
      limits,
      onFatal: options.onFatal,
    });
    await serving(loop);
    return loop;
  } catch (error) {
    await wal.close();
    throw error;
  }
}

/** A read that waits for the leader's first own entry waits for everything before it, however long the log is. */
async function serving(loop: ReadyLoop<DrivenState>): Promise<void> {
  const { signal } = new AbortController();
  for (;;) {
    try {
      return await loop.readIndex({ signal });
    } catch (error) {
      if (error instanceof StoreError && error.code === "Timeout") continue;
      await loop.close();
      throw loop.failure ?? error;
    }
  }
}

function noteIdentity(
  logger: Logger,
  { asked, identity }: { readonly asked: WalIdentity; readonly identity: WalIdentity },
): void {
  if (asked.clusterId === identity.clusterId && asked.memberId === identity.memberId) return;
  logger.warn(
    {
      askedCluster: asked.clusterId.toString(16),
      askedMember: asked.memberId.toString(16),
      cluster: identity.clusterId.toString(16),
      member: identity.memberId.toString(16),
    },
    "the data folder keeps the cluster and member ids it was made with",
  );
}
