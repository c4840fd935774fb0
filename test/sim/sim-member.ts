import { type Logger, pino } from "pino";
import type { OpenedStateMachine, StateMachine } from "../../store/apply/types.ts";
import { MemBackend } from "../../store/backend/mem-backend.ts";
import { bootstrapEntries } from "../../store/membership/bootstrap-entries.ts";
import { type Member, unstarted } from "../../store/membership/types.ts";
import { StoreError } from "../../store/proto/errors.ts";
import type { ReadyLoop } from "../../store/replica/ready-loop.ts";
import { DEFAULT_REPLICA_LIMITS, type ReplicaLimits } from "../../store/replica/replica-limits.ts";
import { MemberPeers } from "../../store/server/member-peers.ts";
import { MemberServices } from "../../store/server/member-services.ts";
import { openMemberReplica } from "../../store/server/open-member-replica.ts";
import { openMemberState } from "../../store/server/open-member-state.ts";
import type { Chance } from "./chance.ts";
import { simCalls } from "./sim-call.ts";
import { simLater } from "./sim-clock.ts";
import type { SimMachine } from "./sim-machine.ts";
import type { SimProcess } from "./sim-process.ts";
import { type PeerNetwork, SimTransport } from "./sim-transport.ts";
import type { Watchers } from "./watchers.ts";

const WAL_FOLDER = "/data/wal";
const SNAPSHOT_FOLDER = "/data/snap";
const CLUSTER_ID = 0xc1n;

/** What is different from seed to seed, and the same for all members. */
export interface MemberTuning {
  readonly limits: Partial<ReplicaLimits> & { readonly tickMs: number; readonly electionTicks: number };
  /** Longest time that a turn of the event loop waits for others. */
  readonly turnMs: number;
  /** Time that a look at the clock takes. */
  readonly readingMs: number;
  /** Between two comparisons of the members' hashes by the leader; 0: there are none. */
  readonly corruptCheckMs: number;
}

export interface SimMemberOptions {
  readonly machine: SimMachine;
  readonly process: SimProcess;
  readonly chance: Chance;
  readonly peers: PeerNetwork;
  readonly tuning: MemberTuning;
  readonly watchers: Watchers;
  /** Of a new cluster; empty for a member that joins. */
  readonly firstMembers: readonly Member[];
  /** Nothing more can be promised: the process has to end. */
  readonly onFatal: (error: unknown) => void;
  /** It learnt that it does not belong to the cluster any more. */
  readonly onRemoved: () => void;
}

/** One life of a whole member, as `logstore` has it but for sockets, files and time: this file puts the simulated ones in. */
export class SimMember {
  readonly replica: ReadyLoop<StateMachine>;
  readonly services: MemberServices;
  readonly opened: OpenedStateMachine;
  readonly backend: MemBackend;

  private constructor(parts: {
    readonly replica: ReadyLoop<StateMachine>;
    readonly services: MemberServices;
    readonly opened: OpenedStateMachine;
    readonly backend: MemBackend;
  }) {
    this.replica = parts.replica;
    this.services = parts.services;
    this.opened = parts.opened;
    this.backend = parts.backend;
  }

  /** Never settles when the process dies first. */
  static async open(options: SimMemberOptions): Promise<SimMember> {
    const { machine, process, chance, tuning, watchers } = options;
    const logger = watchers.logger(machine.name) ?? SILENT;
    const clock = machine.clock.of(process, tuning);
    const later = simLater(process, clock, () => chance.next() * tuning.turnMs);
    const disk = machine.disk.mount(process);
    const backend = new MemBackend({
      file: machine.file,
      disk,
      beforeCommit: () => machine.disk.commit(process),
    });
    process.onEnd(() => backend.crash());
    const { limits } = tuning;
    const folders = { snapshotFolder: SNAPSHOT_FOLDER, walFolder: WAL_FOLDER };
    const memberState = await openMemberState({
      ...folders,
      disk,
      backend,
      quotaBytes: -1,
      limits,
      logger,
    });
    const { opened, walStart } = memberState;
    watchers.state(machine, opened);
    let services: MemberServices | undefined;
    const peers = new MemberPeers({
      state: opened.state,
      planned: walStart === undefined ? machine.knownMembers : [],
      makeTransport: (wiring) =>
        new SimTransport({
          ...wiring,
          id: machine.id,
          url: machine.peerUrl,
          process,
          answer: (call, asked) =>
            services?.calls.answer(call, asked) ?? Promise.reject(new StoreError("Stopped")),
          peers: options.peers,
        }),
      onRemoved: options.onRemoved,
    });
    const replica = await openMemberReplica({
      disk,
      clock,
      later,
      random: chance.fork(),
      logger,
      limits,
      onFatal: options.onFatal,
      createCore: watchers.createCore,
      walFolder: WAL_FOLDER,
      backend,
      memberState,
      peers,
      first: {
        clusterId: CLUSTER_ID,
        memberId: machine.id,
        entries: bootstrapEntries(options.firstMembers),
      },
      loneMember: (id) => unstarted(id, [machine.peerUrl]),
      checkOwner: () => undefined,
    });
    services = new MemberServices({
      member: { replica, watchHub: watchers.hub(opened.watchHub), lessor: opened.lessor, backend },
      attributes: { name: machine.name, clientUrls: [`http://${machine.name}:2379`] },
      isStrict: true,
      learnersMax: 1,
      isConnected: (id) => peers.transport.isActive(id),
      callMember: simCalls(options.peers, peers.transport),
      electionMs: limits.electionTicks * limits.tickMs,
      requestTimeoutMs: limits.requestTimeoutMs ?? DEFAULT_REPLICA_LIMITS.requestTimeoutMs,
      scratchFolder: SNAPSHOT_FOLDER,
      requestBytesMax: 1_500_000,
      txnOpsMax: 128,
      progressIntervalMs: 2000,
      corruptCheckMs: tuning.corruptCheckMs,
      compactHashCheckMs: tuning.corruptCheckMs,
      clock,
      later,
      random: chance.fork(),
      logger,
      onFatal: options.onFatal,
    });
    return new SimMember({ replica, services, opened, backend });
  }

  /** As SIGTERM does it. */
  async close(): Promise<void> {
    await this.services.close();
    await this.replica.close();
    await this.backend.close();
  }
}

const SILENT: Logger = pino({ level: "silent" });
