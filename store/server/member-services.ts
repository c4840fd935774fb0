import type { Clock } from "../../base/clock.ts";
import type { Later } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { StateMachine } from "../apply/types.ts";
import type { MemberAttributes } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import { MemberPromoteRequest, RangeRequest } from "../proto/gen/rpc.ts";
import { leaderAsker } from "./ask-leader.ts";
import { authService } from "./auth-service.ts";
import type { CallMember } from "./call-member.ts";
import { clusterService } from "./cluster-service.ts";
import { checkCorruption, runAtLeader } from "./corruption-check.ts";
import { CompactionHashCheck } from "./corruption-check-compactions.ts";
import { healthService, ServingState } from "./health-service.ts";
import { KvHashes } from "./kv-hashes.ts";
import { kvService } from "./kv-service.ts";
import { LeaderLoss } from "./leader-loss.ts";
import { LeaseExpiry } from "./lease-expiry.ts";
import { LeaseRenewals } from "./lease-renewals.ts";
import { leaseService } from "./lease-service.ts";
import { LeasesAtLeader } from "./leases-at-leader.ts";
import { maintenanceService } from "./maintenance-service.ts";
import { type IsConnected, MemberChanges } from "./member-changes.ts";
import type { OpenedMember } from "./open-member.ts";
import { PeerCalls, PROMOTE_CALL } from "./peer-calls.ts";
import { Proposals } from "./proposals.ts";
import { publishAttributes } from "./publish-attributes.ts";
import { refuseLearner } from "./refuse-learner.ts";
import { requireLeader } from "./require-leader.ts";
import { ResponseHeaders } from "./response-header.ts";
import type { ServiceTable } from "./service.ts";
import { StepPump } from "./step-pump.ts";
import { Turns } from "./turns.ts";
import { watchService } from "./watch-service.ts";

/** Room above `requestBytesMax` before a watch response is cut (etcd MaxRequestBytesWithOverhead). */
const RESPONSE_OVERHEAD_BYTES = 512 * 1024;
/** Responses that wait for one slow Watch stream before its watchers are set aside. */
const STREAM_BUFFER_BYTES_MAX = 2 * 1024 * 1024;

/** As a range's key and end: from the first key on. */
const FIRST_KEY = Buffer.from([0]);

export interface MemberServicesOptions {
  readonly member: Pick<OpenedMember, "replica" | "watchHub" | "lessor" | "backend">;
  /** What this member tells the cluster of itself. */
  readonly attributes: MemberAttributes;
  /** etcd `--strict-reconfig-check` and `--max-learners`. */
  readonly isStrict: boolean;
  readonly learnersMax: number;
  readonly isConnected: IsConnected;
  readonly callMember: CallMember;
  /** Serves the calls of other members from these services; made here when it is not given. */
  readonly calls?: PeerCalls;
  /** etcd `--election-timeout`. */
  readonly electionMs: number;
  /** How long a call may wait for a leader. */
  readonly requestTimeoutMs: number;
  /** For the copies that snapshots are sent from; on the data's disk. */
  readonly scratchFolder: string;
  readonly requestBytesMax: number;
  readonly txnOpsMax: number;
  readonly progressIntervalMs: number;
  readonly clock: Clock;
  readonly later?: Later;
  readonly random: Random;
  readonly logger: Logger;
  /** Between two comparisons of what the members hold; 0, or none: never. */
  readonly corruptCheckMs?: number;
  /** The same, for what their compactions hashed. */
  readonly compactHashCheckMs?: number;
  readonly onFatal: (error: unknown) => void;
  readonly onProposalFailed?: () => void;
}

/** Every service of a member in one table, and the work in the background that they need. No transport. */
export class MemberServices implements AsyncDisposable {
  readonly table: ServiceTable;
  readonly serving = new ServingState();
  readonly proposals: Proposals;
  /** Answers what other members ask. */
  readonly calls: PeerCalls;
  readonly #catchUp: StepPump;
  readonly #state: StateMachine;
  readonly #turns: Turns;
  readonly #stopping = new AbortController();
  readonly #leaderLoss: LeaderLoss;
  readonly #renewals: LeaseRenewals;
  readonly #expiry: LeaseExpiry;
  readonly #publishing: Promise<void>;
  readonly #checking: Promise<unknown>;

  constructor(options: MemberServicesOptions) {
    const { member, clock, requestBytesMax } = options;
    const { replica, watchHub, lessor, backend } = member;
    const { state } = replica;
    const headers = new ResponseHeaders(replica);
    const turns = new Turns(clock, options.later);
    this.#state = state;
    this.#turns = turns;
    this.proposals = new Proposals({
      replica,
      requestBytesMax,
      ...(options.onProposalFailed && { onFailure: options.onProposalFailed }),
    });
    this.#catchUp = new StepPump({ turns, onError: options.onFatal, step: () => watchHub.catchUpStep() });
    watchHub.onBehind(() => this.#catchUp.kick());
    this.calls = options.calls ?? new PeerCalls();
    const timeoutMs = options.requestTimeoutMs;
    const askLeader = leaderAsker({ ...options, replica, answer: this.calls.answer, timeoutMs });
    this.#renewals = new LeaseRenewals({ askLeader, clock, timeoutMs });
    const common = { ...options, replica, lessor, headers, turns, askLeader, proposals: this.proposals };
    const changes = new MemberChanges(common);
    const hashes = new KvHashes(state, turns);
    this.calls.serve({ replica, changes, leases: new LeasesAtLeader(common), hashes });
    const services: ServiceTable = new Map([
      ...kvService(common),
      ...watchService({
        ...common,
        hub: watchHub,
        catchUp: this.#catchUp,
        responseBytesMax: requestBytesMax + RESPONSE_OVERHEAD_BYTES,
        streamBufferBytesMax: STREAM_BUFFER_BYTES_MAX,
      }),
      ...leaseService({ ...common, renewals: this.#renewals }),
      ...clusterService({
        ...common,
        changes,
        promoteAtLeader: (ID, promoting) =>
          askLeader({ method: PROMOTE_CALL, body: MemberPromoteRequest.encode({ ID }).finish() }, promoting),
      }),
      ...maintenanceService({
        ...common,
        hashes,
        snapshots: { backend, state, folder: options.scratchFolder },
      }),
      ...authService(common),
      ...healthService(this.serving),
    ]);
    this.#leaderLoss = new LeaderLoss(common);
    this.table = refuseLearner(requireLeader(services, { replica, leaderLoss: this.#leaderLoss }), replica);
    const { signal } = this.#stopping;
    this.#expiry = new LeaseExpiry({ ...common, pauseMs: options.electionMs });
    this.#publishing = publishAttributes({ ...common, signal }).catch(options.onFatal);
    const { corruptCheckMs = 0, compactHashCheckMs = 0 } = options;
    const checks = { ...common, hashes, signal };
    const compactions = new CompactionHashCheck();
    this.#checking = Promise.all([
      runAtLeader({ ...checks, periodMs: corruptCheckMs }, checkCorruption),
      runAtLeader({ ...checks, periodMs: compactHashCheckMs }, (check) => compactions.check(check)),
    ]);
  }

  /**
   * Keys there are now, counted a slice a turn: about 0.2 s of CPU time per million. Undefined while the state answers no
   * reads: a snapshot is being installed, or it is corrupt.
   */
  async countKeys(): Promise<number | undefined> {
    const request = RangeRequest.fromPartial({ key: FIRST_KEY, rangeEnd: FIRST_KEY, countOnly: true });
    const { signal } = new AbortController();
    try {
      return (await this.#turns.run(this.#state.range(request), { signal })).count;
    } catch (error) {
      if (error instanceof StoreError) return undefined;
      throw error;
    }
  }

  /** Stops the work in the background; proposals under way are not waited for. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([
      this.#expiry.close(),
      this.#renewals.close(),
      this.#leaderLoss.close(),
      this.#publishing,
      this.#checking,
      this.#catchUp.close(),
    ]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
