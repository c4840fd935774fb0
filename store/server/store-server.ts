import { join } from "node:path";
import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import type { Disk } from "../../base/disk.ts";
import { hostPortText } from "../../base/host-port.ts";
import { systemLater } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { runInSlices } from "../../base/steps.ts";
import type { ListenAddress, StoreSettings } from "../../conf/store-settings.ts";
import { bootstrapPlan } from "../membership/bootstrap-plan.ts";
import { StoreError } from "../proto/errors.ts";
import { runAutoCompaction } from "./auto-compaction.ts";
import { autoCompactionPolicy } from "./auto-compaction-policy.ts";
import { bootstrapConfig } from "./bootstrap-config.ts";
import { callMember } from "./call-member.ts";
import { checkInitialCorruption } from "./corruption-check-initial.ts";
import { GrpcAdapter } from "./grpc-adapter.ts";
import { HttpEndpoints, listenError } from "./http-endpoints.ts";
import { lookUp } from "./look-up.ts";
import { measuredDisk } from "./measured-disk.ts";
import { MemberServices } from "./member-services.ts";
import { StoreMetrics } from "./metrics.ts";
import { type OpenedMember, openMember } from "./open-member.ts";
import { fetchMembers, PeerCalls } from "./peer-calls.ts";

export interface StoreServerOptions {
  readonly settings: StoreSettings;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The member was removed from its cluster: the process is to end. May be called more than once. */
  readonly onRemoved: () => void;
  /** Nothing can be promised any more: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** An address that is listened on; the port is the real one where 0 was asked for. */
export interface BoundAddress extends ListenAddress {
  readonly boundPort: number;
}

/** What a server is made of. */
interface Parts {
  readonly metrics: StoreMetrics;
  readonly member: OpenedMember;
  readonly calls: PeerCalls;
}

/** Between two tries to find out whether there is a leader, on top of what a try waits. */
const SERVING_RETRY_MS = 100;
const NEVER = new AbortController().signal;

/** A running member: data, services, listeners. */
export class StoreServer implements AsyncDisposable {
  readonly #member: OpenedMember;
  readonly #clock: Clock;
  readonly #services: MemberServices;
  readonly #grpc: GrpcAdapter;
  readonly #http: HttpEndpoints;
  readonly #stopping = new AbortController();
  readonly #compacting: Promise<void>;
  #closed: Promise<void> | undefined;

  private constructor(options: StoreServerOptions, { metrics, member, calls }: Parts) {
    const { settings, clock, logger } = options;
    const { flags } = settings;
    const { replica, transport } = member;
    this.#member = member;
    this.#clock = clock;
    const requestBytesMax = flags["max-request-bytes"];
    this.#services = new MemberServices({
      ...options,
      member,
      attributes: { name: settings.name, clientUrls: settings.advertiseClientUrls },
      isStrict: flags["strict-reconfig-check"],
      learnersMax: flags["max-learners"],
      isConnected: (id) => transport.isActive(id),
      callMember,
      calls,
      electionMs: flags["election-timeout"],
      requestTimeoutMs: requestTimeoutMs(settings),
      scratchFolder: join(settings.dataFolder, "member"),
      requestBytesMax,
      txnOpsMax: flags["max-txn-ops"],
      corruptCheckMs: flags["corrupt-check-time"],
      compactHashCheckMs: settings.featureGates.CompactHashCheck ? flags["compact-hash-check-time"] : 0,
      progressIntervalMs: flags["watch-progress-notify-interval"],
      onProposalFailed: () => metrics.proposalFailed(),
    });
    const { proposals, table } = this.#services;
    metrics.observe({
      ...member,
      pendingProposals: () => proposals.pending,
      countKeys: () => this.#services.countKeys(),
    });
    this.#grpc = new GrpcAdapter({
      table,
      logger,
      requestBytesMax,
      concurrentStreamsMax: flags["max-concurrent-streams"],
      keepaliveIntervalMs: flags["grpc-keepalive-interval"],
      keepaliveTimeoutMs: flags["grpc-keepalive-timeout"],
      onHandled: (path, kind, code) => metrics.handled(path, kind, code),
    });
    this.#http = new HttpEndpoints({ replica, metrics });
    const policy = autoCompactionPolicy(settings.autoCompaction, clock.monotonicMs());
    const { signal } = this.#stopping;
    this.#compacting =
      policy === undefined
        ? Promise.resolve()
        : runAutoCompaction({ policy, replica, proposals, clock, logger, signal });
  }

  /**
   * Opens the data folder and starts the member: it hears the others, and serves nobody yet. Throws what
   * {@link openMember} does, and CodedError ELISTEN for an address of --listen-peer-urls.
   */
  static async open(options: StoreServerOptions): Promise<StoreServer> {
    const { settings, clock } = options;
    const { flags } = settings;
    const metrics = new StoreMetrics();
    const calls = new PeerCalls();
    const bootstrap = bootstrapConfig(settings);
    const tickMs = flags["heartbeat-interval"];
    const member = await openMember({
      ...options,
      dataFolder: settings.dataFolder,
      bootstrap,
      plan: (hasData) => bootstrapPlan(bootstrap, hasData, { fetchMembers, lookup: lookUp, signal: NEVER }),
      ...(settings.featureGates.InitialCorruptCheck && {
        beforeStart: (state, memberId) =>
          checkInitialCorruption({
            ...options,
            state,
            memberId,
            run: runInSlices({ clock, later: systemLater }),
            callMember,
          }),
      }),
      isForced: flags["force-new-cluster"],
      onCall: calls.answer,
      quotaBytes: flags["quota-backend-bytes"],
      requestBytesMax: flags["max-request-bytes"],
      limits: {
        tickMs,
        electionTicks: Math.floor(flags["election-timeout"] / tickMs),
        requestTimeoutMs: requestTimeoutMs(settings),
        keptEntries: flags["snapshot-count"],
      },
      disk: measuredDisk(options.disk, { clock, onSync: (seconds) => metrics.walSynced(seconds) }),
    });
    const server = new StoreServer(options, { metrics, member, calls });
    try {
      for (const address of settings.peerAddresses)
        await bind(address, () => member.transport.listen(address));
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get replica(): OpenedMember["replica"] {
    return this.#member.replica;
  }

  /** Listens on every address of the settings. Throws CodedError ELISTEN, naming address and flag. */
  async listen(settings: StoreSettings): Promise<readonly BoundAddress[]> {
    const bound: BoundAddress[] = [];
    for (const address of settings.clientAddresses) {
      bound.push(await bind(address, () => this.#grpc.listen(hostPortText(address))));
    }
    for (const address of settings.httpAddresses) {
      bound.push(await bind(address, () => this.#http.listen(address)));
    }
    return bound;
  }

  /**
   * Resolves when this member takes part in its cluster: there is a leader, and it has applied what that one had committed.
   * Until then it answers what needs none (etcd's ReadyNotify). Pending for ever when it is closed before.
   */
  async serving(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      try {
        return await this.replica.readIndex({ signal });
      } catch (error) {
        if (signal.aborted || (error instanceof StoreError && error.code === "Stopped"))
          return new Promise(() => undefined);
        if (!(error instanceof StoreError)) throw error;
        await sleepUnlessAborted(this.#clock, SERVING_RETRY_MS, { signal });
      }
    }
  }

  /** Ends every call, makes everything durable and lets go of the data folder. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#services.serving.stop();
    this.#stopping.abort();
    await Promise.all([this.#grpc.stop(), this.#http.close(), this.#compacting]);
    await this.#services.close();
    await this.#member.close();
  }
}

/** etcd server/config ReqTimeout: for the disk, and for an election and the one that it takes to notice. */
function requestTimeoutMs({ flags }: StoreSettings): number {
  return 5_000 + 2 * flags["election-timeout"];
}

async function bind(address: ListenAddress, listen: () => Promise<number>): Promise<BoundAddress> {
  try {
    return { ...address, boundPort: await listen() };
  } catch (error) {
    throw listenError(address, error);
  }
}
