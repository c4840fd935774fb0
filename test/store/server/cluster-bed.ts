import { systemClock } from "../../../base/clock.ts";
import type { ApplyOutcome } from "../../../store/apply/types.ts";
import { bootstrapEntries } from "../../../store/membership/bootstrap-entries.ts";
import { toConfChange } from "../../../store/membership/member-codec.ts";
import { votersOf } from "../../../store/membership/quorum-rules.ts";
import { type Member, unstarted } from "../../../store/membership/types.ts";
import { type ConfChange, encodeConfChange } from "../../../store/raft/conf-change.ts";
import type { ProgressView } from "../../../store/raft/progress.ts";
import type { RaftStatus } from "../../../store/raft/types.ts";
import type { Replica } from "../../../store/replica/replica.ts";
import { clusterService, type PromoteAtLeader } from "../../../store/server/cluster-service.ts";
import { MemberChanges } from "../../../store/server/member-changes.ts";
import { ResponseHeaders } from "../../../store/server/response-header.ts";
import { StateBed } from "../apply/state-bed.ts";

export const CLUSTER = 0xc1n;

/** A started member: 1n is "one", at http://one:2380. */
export function started(id: bigint, isLearner = false): Member {
  const name = `m${id}`;
  return { ...unstarted(id, [`http://${name}:2380`], isLearner), name };
}

/** A real state behind a log that commits at once: what is proposed is applied. The member is 1n. */
export class ClusterBed {
  readonly bed = new StateBed();
  readonly proposed: string[] = [];
  readonly transfers: bigint[] = [];
  readonly replica: Replica;
  reads = 0;
  leader = 1n;
  connected = new Set<bigint>();
  progress = new Map<bigint, ProgressView>();
  promoteAtLeader: PromoteAtLeader = () => Promise.reject(new Error("no leader is asked here"));
  #requestId = 0n;

  constructor(members: readonly Member[]) {
    for (const entry of bootstrapEntries(votersOf(members))) this.bed.applyEntry(entry);
    for (const member of members.filter(({ isLearner }) => isLearner)) {
      this.#apply(toConfChange({ kind: "add", member, learnersMax: members.length }, 0n));
    }
    this.connected = new Set(members.map(({ id }) => id));
    const self = this;
    this.replica = {
      clusterId: CLUSTER,
      memberId: 1n,
      state: this.bed.state,
      get status(): RaftStatus {
        return statusOf(self.leader, self.bed.state.appliedIndex);
      },
      propose: () => Promise.reject(new Error("only changes of the configuration are proposed here")),
      proposeConfChange: async (requestId, change) => {
        this.proposed.push(`${requestId} ${change.changes.map(({ kind, id }) => `${kind} ${id}`).join()}`);
        return this.#apply(change);
      },
      transferLeader: async (to) => void this.transfers.push(to),
      onLeadership: () => () => undefined,
      progress: () => this.progress,
      readIndex: async () => {
        this.reads += 1;
      },
      compacted: async () => undefined,
      nextRequestId: () => {
        this.#requestId += 1n;
        return this.#requestId;
      },
    };
  }

  #apply(change: ConfChange): ApplyOutcome {
    const index = this.bed.log.length + 1;
    return this.bed.applyEntry({ term: 2, index, kind: "confChange", data: encodeConfChange(change) });
  }

  /** How far the leader knows each to be. */
  matches(of: Readonly<Record<string, number>>): void {
    const view = (match: number): ProgressView => ({
      state: "replicate",
      match,
      next: match + 1,
      pendingSnapshot: 0,
      recentActive: true,
      isPaused: false,
      isLearner: false,
      inflights: { count: 0, isFull: false },
    });
    this.progress = new Map(Object.entries(of).map(([id, match]) => [BigInt(id), view(match)]));
  }

  table(options: { readonly isStrict?: boolean; readonly learnersMax?: number } = {}) {
    const { isStrict = true, learnersMax = 1 } = options;
    const isConnected = (id: bigint) => this.connected.has(id);
    const changes = new MemberChanges({ replica: this.replica, isStrict, learnersMax, isConnected });
    return clusterService({
      replica: this.replica,
      headers: new ResponseHeaders(this.replica),
      changes,
      promoteAtLeader: (id, signal) => this.promoteAtLeader(id, signal),
      clock: systemClock,
    });
  }
}

function statusOf(leader: bigint, index: number): RaftStatus {
  return {
    id: 1n,
    role: leader === 1n ? "leader" : "follower",
    leader,
    term: 7,
    vote: leader,
    commit: index,
    applied: index,
    lastIndex: index,
    isLearner: false,
    transferee: 0n,
  };
}
