import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { GRPC_CODE, type GrpcCode } from "../proto/errors.ts";
import { idText } from "../raft/id-text.ts";
import { NONE } from "../raft/types.ts";
import type { LoopDelay } from "../replica/loop-delay.ts";
import type { Replica } from "../replica/replica.ts";
import type { WatchHub } from "../watch/types.ts";
import { type MeasuredTransport, registerPeerMetrics } from "./peer-metrics.ts";
import { ETCD_API_VERSION, ETCD_MINOR_VERSION } from "./version.ts";

/** etcd's: 1 ms and its doublings. */
const DISK_BUCKETS_SECONDS = Array.from({ length: 14 }, (_, power) => 0.001 * 2 ** power);

/** `invalidArgument` → `InvalidArgument`, `ok` → `OK`, as the label grpc_code has them. */
const CODE_LABELS = new Map<GrpcCode, string>(
  Object.entries(GRPC_CODE).map(([name, code]) => [
    code,
    name === "ok" ? "OK" : `${name.charAt(0).toUpperCase()}${name.slice(1)}`,
  ]),
);

/** Metrics under etcd's names, each of them measured; beside them Node's own, of which event loop lag is one. */
export class StoreMetrics {
  readonly registry = new Registry();
  readonly #handled: Counter<"grpc_type" | "grpc_service" | "grpc_method" | "grpc_code">;
  /** By path, kind and code: finding a counter by four labels costs more than a small call. */
  readonly #handledBy = new Map<string, { inc(): void }>();
  readonly #proposalsFailed: Counter;
  readonly #leaderChanges: Counter;
  readonly #walSyncs: Histogram;

  constructor() {
    const registers = [this.registry];
    this.#handled = new Counter({
      name: "grpc_server_handled_total",
      help: "Calls that ended, by status code.",
      labelNames: ["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
      registers,
    });
    this.#proposalsFailed = new Counter({
      name: "etcd_server_proposals_failed_total",
      help: "Proposals that were not answered with an outcome.",
      registers,
    });
    this.#leaderChanges = new Counter({
      name: "etcd_server_leader_changes_seen_total",
      help: "Changes of leader that this member has seen.",
      registers,
    });
    this.#walSyncs = new Histogram({
      name: "etcd_disk_wal_fsync_duration_seconds",
      help: "Duration of the write-ahead log's fsyncs.",
      buckets: DISK_BUCKETS_SECONDS,
      registers,
    });
    const version = this.#gauge(
      "etcd_server_version",
      "Version that this member answers as.",
      "server_version",
    );
    version.set({ server_version: ETCD_API_VERSION }, 1);
    const cluster = this.#gauge("etcd_cluster_version", "Version of the cluster.", "cluster_version");
    cluster.set({ cluster_version: ETCD_MINOR_VERSION }, 1);
    collectDefaultMetrics({ register: this.registry });
  }

  /** A call ended. `path` is "/package.Service/Method". */
  handled(path: string, kind: "unary" | "stream", code: GrpcCode): void {
    const key = `${code}${kind}${path}`;
    let counter = this.#handledBy.get(key);
    if (counter === undefined) {
      const [, service = "", method = ""] = path.split("/");
      counter = this.#handled.labels({
        grpc_type: kind === "unary" ? "unary" : "bidi_stream",
        grpc_service: service,
        grpc_method: method,
        grpc_code: CODE_LABELS.get(code) ?? String(code),
      });
      this.#handledBy.set(key, counter);
    }
    counter.inc();
  }

  proposalFailed(): void {
    this.#proposalsFailed.inc();
  }

  walSynced(seconds: number): void {
    this.#walSyncs.observe(seconds);
  }

  /** From now on a scrape reads these, each at the moment of the scrape. */
  observe(member: {
    readonly replica: Replica;
    readonly watchHub: WatchHub;
    readonly pendingProposals: () => number;
    readonly countKeys: () => Promise<number | undefined>;
    readonly transport: MeasuredTransport;
    readonly loopDelay: LoopDelay;
  }): void {
    const { replica, watchHub, loopDelay } = member;
    const { state } = replica;
    registerPeerMetrics(this.registry, { memberId: replica.memberId, transport: member.transport });
    const id = this.#gauge("etcd_server_id", "This member's id.", "server_id");
    id.set({ server_id: idText(replica.memberId) }, 1);
    this.#countLeaders(replica);
    this.#read("etcd_server_has_leader", "Whether a leader is known.", () =>
      replica.status.leader === NONE ? 0 : 1,
    );
    this.#read("etcd_server_is_leader", "Whether this member leads.", () =>
      replica.status.role === "leader" ? 1 : 0,
    );
    this.#read("etcd_server_is_learner", "Whether this member is a learner.", () =>
      replica.status.isLearner ? 1 : 0,
    );
    this.#read("logstore_raft_term", "The term this member is in.", () => replica.status.term);
    this.#read("logstore_raft_last_index", "Index of the log's end.", () => replica.status.lastIndex);
    this.#read("logstore_loop_delay_seconds", "How late the last tick was.", () => loopDelay.lastMs / 1_000);
    this.#read("logstore_loop_delay_max_seconds", "How late one was since the last scrape.", () => {
      return loopDelay.takeMaxMs() / 1_000;
    });
    this.#read("etcd_server_proposals_committed_total", "Index committed.", () => replica.status.commit);
    this.#read("etcd_server_proposals_applied_total", "Index applied.", () => state.appliedIndex);
    this.#read("etcd_server_proposals_pending", "Proposals that wait.", member.pendingProposals);
    this.#read("etcd_server_quota_backend_bytes", "Quota of the backend.", () => state.size().quotaBytes);
    this.#read("etcd_mvcc_db_total_size_in_bytes", "Size of the backend.", () => state.size().totalBytes);
    this.#read("etcd_mvcc_db_total_size_in_use_in_bytes", "The part in use.", () => state.size().inUseBytes);
    this.#read("etcd_debugging_mvcc_current_revision", "The store's revision.", () => state.revision);
    this.#read("etcd_debugging_mvcc_compact_revision", "Last compacted.", () => state.compactRevision);
    this.#read("etcd_debugging_mvcc_keys_total", "Keys.", member.countKeys);
    this.#read("etcd_debugging_mvcc_watcher_total", "Watchers.", () => {
      const { synced, unsynced, slow } = watchHub.counts;
      return synced + unsynced + slow;
    });
    this.#read("etcd_debugging_mvcc_slow_watcher_total", "Watchers that are behind.", () => {
      const { unsynced, slow } = watchHub.counts;
      return unsynced + slow;
    });
  }

  /** Each that takes over from another, or after there was none (as etcd counts). */
  #countLeaders(replica: Replica): void {
    let last = 0n;
    const see = ({ leader }: { readonly leader: bigint }) => {
      if (leader !== NONE && leader !== last) this.#leaderChanges.inc();
      last = leader;
    };
    see(replica.status);
    replica.onLeadership(see);
  }

  /** Left out of a scrape at which it cannot be read: undefined. */
  #read(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }

  #gauge<Label extends string>(name: string, help: string, label: Label): Gauge<Label> {
    return new Gauge({ name, help, labelNames: [label], registers: [this.registry] });
  }
}
