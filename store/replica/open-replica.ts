import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { type Later, systemLater } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { PeerHandler, PeerTransport } from "../peer/transport.ts";
import { StoreError } from "../proto/errors.ts";
import { idText } from "../raft/id-text.ts";
import { Raft } from "../raft/raft.ts";
import {
  type Entry,
  NONE,
  type RaftCore,
  type RaftOptions,
  type RaftPolicy,
  type RaftStart,
  type SnapshotMeta,
} from "../raft/types.ts";
import { type OpenedWal, Wal, type WalIdentity } from "../wal/wal.ts";
import { ReadyLoop } from "./ready-loop.ts";
import type { DrivenState } from "./ready-loop-options.ts";
import { DEFAULT_REPLICA_LIMITS, type ReplicaLimits } from "./replica-limits.ts";
import type { SnapshotStore } from "./snapshot-exchange.ts";

/**
 * etcd's server, with the pre-vote that it has on by default. A leader that is removed goes on, until the others know of it
 * and another one leads: would it step down at once, the last of them could wait for its vote for ever.
 */
const POLICY: RaftPolicy = {
  preVote: true,
  checkQuorum: true,
  stepDownOnRemoval: false,
  validateConfChanges: true,
};

export interface ReplicaOptions<State extends DrivenState> {
  readonly disk: Disk;
  /** Of the WAL; made when absent. One process at a time, which is the caller's to see to (base/folder-lock). */
  readonly folder: string;
  readonly clock: Clock;
  readonly later?: Later;
  readonly random: Random;
  readonly logger: Logger;
  /** For a new log. An existing one keeps the ids it was made with (as etcd does), and the replica has those. `memberId` 0n: there is one. */
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** What the log of a new cluster begins with, the same on each of its members; empty for one that joins a cluster. */
  readonly firstEntries: readonly Entry[];
  /**
   * Given for a log that is to go on without the other members: all of it is committed, and behind it the changes of the
   * configuration that this gives for the entries behind the state.
   */
  readonly force?: (unapplied: readonly Entry[], identity: WalIdentity) => readonly Uint8Array[];
  /** As the backend holds it; what the log has behind its applied index is applied again. */
  readonly state: State;
  readonly snapshots: SnapshotStore;
  /** Makes the way to the other members; what comes from them goes to `handler`. */
  readonly connect: (handler: PeerHandler, identity: WalIdentity) => PeerTransport;
  /** The table of members may have changed. */
  readonly onMembers?: () => void;
  /** Called once when a write or a sync has failed: the process must end, everything is rejected with Stopped. */
  readonly onFatal: (error: unknown) => void;
  readonly limits?: Partial<ReplicaLimits>;
  /** Of the log that the backend belongs to; undefined while it belongs to none. */
  readonly logId?: bigint | undefined;
  /** Told the log's id before the first entry is applied, to be noted in the backend with it. */
  readonly onLogId?: (logId: bigint, identity: WalIdentity) => void;
  /** Makes the consensus core; absent: {@link Raft}. */
  readonly createCore?: CreateCore;
}

export type CreateCore = (start: RaftStart, options: RaftOptions) => RaftCore;

const createRaft: CreateCore = (start, options) => new Raft(start, options);

/**
 * Opens the WAL and starts a member. A sole voter is awaited until it serves: it leads, and every entry of its log is
 * applied; a member among others is not, it may have to wait for them. With a whole {@link StateMachine} the result is a
 * {@link Replica}. The caller closes it before the state's backend. Throws WalError.
 */
export async function openReplica<State extends DrivenState>(
  options: ReplicaOptions<State>,
): Promise<ReadyLoop<State>> {
  const { logger, state } = options;
  const limits = { ...DEFAULT_REPLICA_LIMITS, ...options.limits };
  const asked = { clusterId: options.clusterId, memberId: options.memberId };
  const after = { index: state.appliedIndex, term: state.appliedTerm };
  const { segmentBytes, keptEntries: entries, keptBytes: bytes } = limits;
  // So that a follower that lagged before this start needs no snapshot after it.
  const keep = { entries, bytes };
  const opened = await Wal.open({ ...options, identity: asked, after, keep, segmentBytes });
  const { wal, identity } = opened;
  options.onLogId?.(opened.logId, identity);
  noteIdentity(logger, { asked, identity });
  let transport: PeerTransport | undefined;
  try {
    const start = await begin(options, opened);
    const createCore = options.createCore ?? createRaft;
    const core = createCore(
      { ...start, id: identity.memberId, confState: state.confState, applied: after.index },
      { limits, policy: POLICY, random: options.random, snapshot: () => snapshotMeta(state) },
    );
    let loop: ReadyLoop<State> | undefined;
    transport = options.connect(
      {
        receive: (message) => loop?.receive(message),
        receiveSnapshot: (message, body) =>
          loop?.receiveSnapshot(message, body) ?? Promise.reject(new StoreError("Stopped")),
        unreachable: (id) => loop?.unreachable(id),
      },
      identity,
    );
    loop = new ReadyLoop({
      ...options,
      core,
      wal,
      transport,
      identity,
      limits,
      later: options.later ?? systemLater,
      onMembers: options.onMembers ?? (() => undefined),
    });
    if (isSoleVoter(options, identity)) await serving(loop);
    return loop;
  } catch (error) {
    await transport?.close();
    await wal.close();
    throw error;
  }
}

/** A new log begins with the entries of its cluster, as if a leader of the first term had committed them (etcd bootstrap). */
async function begin<State extends DrivenState>(
  options: ReplicaOptions<State>,
  opened: OpenedWal,
): Promise<Pick<OpenedWal, "hardState" | "entries" | "compacted">> {
  const { firstEntries, state, clusterId } = options;
  const { wal, identity, hardState, entries, compacted } = opened;
  const isNew = hardState.term === 0 && entries.length === 0 && state.appliedIndex === 0;
  // A folder that was made for another cluster joins that one, whatever this start asks for.
  if (!isNew && options.force !== undefined) return forced(options, opened, options.force);
  if (!isNew || firstEntries.length === 0 || identity.clusterId !== clusterId) {
    return { hardState, entries, compacted };
  }
  const first = { hardState: { term: 1, vote: NONE, commit: firstEntries.length }, entries: firstEntries };
  await wal.append(first);
  return { ...first, compacted };
}

/**
 * All of its log counts as committed: what is not known to be so may have been acknowledged by the members that are lost (etcd
 * drops it). The changes are in a term of their own, so that no member that comes back has an entry of the same index and term.
 */
async function forced<State extends DrivenState>(
  { state, logger }: ReplicaOptions<State>,
  { wal, identity, hardState, entries, compacted }: OpenedWal,
  force: NonNullable<ReplicaOptions<State>["force"]>,
): Promise<Pick<OpenedWal, "hardState" | "entries" | "compacted">> {
  const unapplied = entries.filter(({ index }) => index > state.appliedIndex);
  const changes = force(unapplied, identity);
  if (changes.length === 0) return { hardState, entries, compacted };
  const term = hardState.term + 1;
  const next = Math.max(state.appliedIndex, entries.at(-1)?.index ?? 0) + 1;
  const added = changes.map((data, i): Entry => ({ kind: "confChange", term, index: next + i, data }));
  const alone = { term, vote: NONE, commit: next + added.length - 1 };
  logger.warn(
    { member: idText(identity.memberId), changes: added.length, known: hardState.commit, taken: next - 1 },
    "forced a new cluster of this member alone",
  );
  await wal.append({ hardState: alone, entries: added });
  return { hardState: alone, entries: [...entries, ...added], compacted };
}

function snapshotMeta(state: DrivenState): SnapshotMeta | undefined {
  const { appliedIndex: index, appliedTerm: term, confState } = state;
  return index === 0 ? undefined : { index, term, confState };
}

function isSoleVoter<State extends DrivenState>(
  { state, firstEntries }: ReplicaOptions<State>,
  { memberId }: WalIdentity,
): boolean {
  const { voters } = state.confState;
  return state.appliedIndex === 0 ? firstEntries.length === 1 : voters.length === 1 && voters[0] === memberId;
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
  if (asked.memberId === 0n) return;
  if (asked.clusterId === identity.clusterId && asked.memberId === identity.memberId) return;
  logger.warn(
    {
      askedCluster: idText(asked.clusterId),
      askedMember: idText(asked.memberId),
      cluster: idText(identity.clusterId),
      member: idText(identity.memberId),
    },
    "the data folder keeps the cluster and member ids it was made with",
  );
}
