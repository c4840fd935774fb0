import type { Clock } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import type { Later } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { StateMachine } from "../apply/types.ts";
import { readLogId, writeLogId } from "../backend/log-id.ts";
import type { Backend } from "../backend/port.ts";
import { changesToAlone } from "../membership/force-new-cluster.ts";
import type { Member } from "../membership/types.ts";
import type { PeerTransport } from "../peer/transport.ts";
import type { Entry } from "../raft/types.ts";
import { type CreateCore, openReplica } from "../replica/open-replica.ts";
import type { ReadyLoop } from "../replica/ready-loop.ts";
import type { ReplicaLimits } from "../replica/replica-limits.ts";
import type { WalIdentity } from "../wal/wal.ts";
import type { MemberPeers } from "./member-peers.ts";
import { memberSnapshots } from "./member-snapshots.ts";
import type { MemberState } from "./open-member-state.ts";

export interface MemberReplicaOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly later: Later;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: Partial<ReplicaLimits>;
  readonly onFatal: (error: unknown) => void;
  readonly createCore?: CreateCore;
  readonly walFolder: string;
  readonly backend: Backend;
  readonly memberState: MemberState;
  readonly peers: MemberPeers<PeerTransport>;
  /** etcd `--force-new-cluster`: whoever else is in the cluster is removed from it. */
  readonly isForced?: boolean;
  /** Of a new log; `memberId` 0n: there is one. */
  readonly first: {
    readonly clusterId: bigint;
    readonly memberId: bigint;
    readonly entries: readonly Entry[];
  };
  /** What a backend of before there were several members does not say of its one. */
  readonly loneMember: (id: bigint) => Member;
  /** Throws when the data is not this member's. */
  readonly checkOwner: (identity: WalIdentity) => void;
}

/**
 * Opens a member's log over its state, and its way to the others: all that is the same whatever the disk, the network and the
 * clock are. Throws CodedError.
 */
export function openMemberReplica(options: MemberReplicaOptions): Promise<ReadyLoop<StateMachine>> {
  const { backend, peers, clock, later, first, memberState } = options;
  const { state } = memberState.opened;
  return openReplica<StateMachine>({
    ...options,
    folder: options.walFolder,
    state,
    clusterId: first.clusterId,
    memberId: first.memberId,
    firstEntries: first.entries,
    ...(options.isForced === true && {
      force: (unapplied, { memberId }) => changesToAlone(memberId, { members: state.members, unapplied }),
    }),
    snapshots: memberSnapshots({ folder: memberState.snapshots, state, clock, later }),
    connect: (handler, identity) => {
      options.checkOwner(identity);
      return peers.connect(handler, identity);
    },
    onMembers: () => peers.changed(),
    logId: readLogId(backend),
    onLogId: (id, { memberId }) => {
      state.adoptLoneMember(options.loneMember(memberId));
      if (id !== 0n && readLogId(backend) === undefined) writeLogId(backend, id);
    },
  });
}
