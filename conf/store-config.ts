import { z } from "zod";
import { goBoolean, goDuration, goInteger, goText, urlList } from "./go-values.ts";

const MAX_UINT32 = 2 ** 32 - 1;
/** etcd server/etcdserver/server.go. */
export const DEFAULT_SNAPSHOT_COUNT = 10_000;

/** A choice of words. */
function oneOf<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return z
    .unknown()
    .refine((value) => words.includes(String(value)), `one of ${words.join(", ")}`)
    .transform((value) => String(value) as Words[number]);
}

/**
 * Every flag of `logstore` that has an effect, by etcd's name, with etcd's default: the one place of defaults and docs. As
 * a variable the name is `ETCD_` and the flag in capitals with `_` for `-`; in the YAML config file it is as here.
 */
export const storeFlagsSchema = z.strictObject({
  name: goText.default("default").describe("Human-readable name of this member."),
  "data-dir": goText.default("").describe('Folder of the data. Default "<name>.etcd".'),
  "listen-peer-urls": urlList
    .default(["http://localhost:2380"])
    .describe("URLs to listen on for other members."),
  "listen-client-urls": urlList
    .default(["http://localhost:2379"])
    .describe("URLs to serve clients on (gRPC)."),
  "listen-client-http-urls": urlList
    .default([])
    .describe("URLs to serve /health, /livez, /readyz, /version and /metrics on."),
  "listen-metrics-urls": urlList
    .default([])
    .describe("The same. --listen-client-urls carry gRPC alone, so these endpoints need a URL of their own."),
  "initial-advertise-peer-urls": urlList
    .default(["http://localhost:2380"])
    .describe("This member's peer URLs as others know them; its id is computed from them."),
  "advertise-client-urls": urlList
    .default(["http://localhost:2379"])
    .describe("This member's client URLs as others know them. Required when --listen-client-urls is set."),
  "initial-cluster": goText
    .default("")
    .describe('Members at the start: "<name>=<peer URL>,…". Default: this member alone.'),
  "initial-cluster-state": oneOf("new", "existing")
    .default("new")
    .describe("new: bootstrap a cluster. existing: join one. Without effect once there is data."),
  "initial-cluster-token": goText
    .default("etcd-cluster")
    .describe("Goes into the cluster's id, so that clusters with the same URLs differ."),
  "force-new-cluster": goBoolean
    .default(false)
    .describe(
      "Go on alone with this member's data: the others are removed from the cluster. For when a majority of the disks is lost.",
    ),
  "strict-reconfig-check": goBoolean
    .default(true)
    .describe("Refuse changes of the members that would lose the quorum."),
  "max-learners": goInteger(0, MAX_UINT32).default(1).describe("Learners that the cluster may have at once."),
  "heartbeat-interval": goInteger(0, MAX_UINT32).default(100).describe("Heartbeat interval in milliseconds."),
  "election-timeout": goInteger(0, MAX_UINT32)
    .default(1_000)
    .describe("Election timeout in milliseconds; at least 5 heartbeat intervals, at most 50000."),
  "snapshot-count": goInteger(0, Number.MAX_SAFE_INTEGER)
    .default(DEFAULT_SNAPSHOT_COUNT)
    .describe("Entries that the log keeps behind what is applied, for members that lag; 0 is the default."),
  "quota-backend-bytes": goInteger(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    .default(0)
    .describe("Size of the data above which writes are refused with an alarm; 0 is 2 GiB, below 0 no limit."),
  "max-txn-ops": goInteger(0, MAX_UINT32).default(128).describe("Operations that one transaction may have."),
  "max-request-bytes": goInteger(1, MAX_UINT32)
    .default(1.5 * 1024 * 1024)
    .describe("Size of a request in bytes that is still accepted."),
  "max-concurrent-streams": goInteger(1, MAX_UINT32)
    .default(MAX_UINT32)
    .describe("Calls that one client connection may have open."),
  "grpc-keepalive-interval": goDuration
    .default(2 * 3_600_000)
    .describe("How long a client connection is silent before it is pinged; 0: never."),
  "grpc-keepalive-timeout": goDuration
    .default(20_000)
    .describe("How long after such a ping a silent connection is closed."),
  "auto-compaction-mode": oneOf("periodic", "revision")
    .default("periodic")
    .describe("What --auto-compaction-retention counts: time, or revisions."),
  "auto-compaction-retention": goText
    .default("0")
    .describe('History to keep: "10m", "1h", a number of hours, or a number of revisions; 0: all of it.'),
  "watch-progress-notify-interval": goDuration
    .default(600_000)
    .describe("How often a silent watch that asked for it is told the store's revision; 100ms at least."),
  "corrupt-check-time": goDuration
    .default(4 * 3_600_000)
    .describe(
      "How often the leader compares what the members hold; 0: never, etcd's default. Members that differ would tell " +
        "agents different things and nobody would notice, and a comparison costs seconds of CPU time per GiB.",
    ),
  "compact-hash-check-time": goDuration
    .default(60_000)
    .describe(
      "How often the leader compares what the members' compactions hashed; with --feature-gates CompactHashCheck=true.",
    ),
  "feature-gates": goText
    .default("")
    .describe(
      '"<name>=true,…". CompactHashCheck: see --compact-hash-check-time. InitialCorruptCheck: a member with data compares it ' +
        "with the other members' before it takes part in anything, and does not start when they differ.",
    ),
  "log-level": oneOf("debug", "info", "warn", "error", "panic", "fatal")
    .default("info")
    .describe("Least level that is logged; JSON lines on stderr."),
});

export type StoreFlags = z.output<typeof storeFlagsSchema>;
export type StoreFlagName = keyof StoreFlags;

/** Flags that say what the command does instead of how the store runs. */
export const COMMAND_FLAGS = {
  "config-file": {
    schema: goText,
    doc: "YAML file with these settings. With one, flags and ETCD_ variables do not count.",
  },
  version: { schema: goBoolean, doc: "Print the version and exit." },
  help: { schema: goBoolean, doc: "Print this and exit." },
} as const;
