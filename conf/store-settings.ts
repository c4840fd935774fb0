import { withoutBrackets } from "../base/host-port.ts";
import type { LogLevel } from "../base/log.ts";
import { type FeatureGates, parseFeatureGates } from "./feature-gates.ts";
import { parseGoDuration } from "./go-values.ts";
import { type InitialCluster, parseInitialCluster } from "./initial-cluster.ts";
import { parseOwnPeerUrls } from "./peer-urls.ts";
import { type GivenValues, UsageError } from "./store-command-line.ts";
import {
  DEFAULT_SNAPSHOT_COUNT,
  type StoreFlagName,
  type StoreFlags,
  storeFlagsSchema,
} from "./store-config.ts";

/** Highest election timeout that etcd accepts. */
const ELECTION_MS_MAX = 50_000;
/** Least interval of watch progress (etcd). */
const PROGRESS_INTERVAL_MS_MIN = 100;

/** What --auto-compaction-mode and -retention ask for. */
export type AutoCompaction =
  | { readonly kind: "off" }
  /** Keep at least this long. */
  | { readonly kind: "periodic"; readonly retentionMs: number }
  /** Keep this many revisions. */
  | { readonly kind: "revision"; readonly retention: number };

/** An address to listen on, and how it was given, for messages. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly flag: string;
}

/** The flags of one run, checked against each other and in the store's own terms. */
export interface StoreSettings {
  readonly name: string;
  readonly dataFolder: string;
  readonly clientAddresses: readonly ListenAddress[];
  readonly httpAddresses: readonly ListenAddress[];
  readonly advertiseClientUrls: readonly string[];
  readonly peerAddresses: readonly ListenAddress[];
  readonly advertisePeerUrls: readonly string[];
  /** The first members of a new cluster, or those that there are when this one joins. */
  readonly initialCluster: InitialCluster;
  readonly clusterToken: string;
  /** True: a new cluster may be made where there is no data. */
  readonly mayBootstrap: boolean;
  readonly autoCompaction: AutoCompaction;
  readonly featureGates: FeatureGates;
  readonly logLevel: LogLevel;
  readonly flags: StoreFlags;
}

/** Checks given values and makes settings of them. Throws UsageError, naming each flag that is wrong. */
export function storeSettings(given: GivenValues): StoreSettings {
  const flags = parse(given);
  checkElection(flags);
  checkCompactHashTime(flags);
  if (given.has("listen-client-urls") && !given.has("advertise-client-urls")) {
    throw new UsageError("--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
  return {
    name: flags.name,
    dataFolder: flags["data-dir"] === "" ? `${flags.name}.etcd` : flags["data-dir"],
    clientAddresses: listenAddresses(flags, "listen-client-urls"),
    httpAddresses: [
      ...listenAddresses(flags, "listen-client-http-urls"),
      ...listenAddresses(flags, "listen-metrics-urls"),
    ],
    advertiseClientUrls: flags["advertise-client-urls"],
    peerAddresses: listenAddresses(flags, "listen-peer-urls"),
    advertisePeerUrls: advertisedPeerUrls(flags),
    initialCluster: initialCluster(flags),
    clusterToken: flags["initial-cluster-token"],
    mayBootstrap: flags["initial-cluster-state"] === "new",
    autoCompaction: autoCompaction(flags),
    featureGates: parseFeatureGates(flags["feature-gates"]),
    logLevel: flags["log-level"] === "panic" ? "fatal" : flags["log-level"],
    flags: {
      ...flags,
      "snapshot-count": flags["snapshot-count"] === 0 ? DEFAULT_SNAPSHOT_COUNT : flags["snapshot-count"],
      "watch-progress-notify-interval": Math.max(
        PROGRESS_INTERVAL_MS_MIN,
        flags["watch-progress-notify-interval"],
      ),
    },
  };
}

function parse(given: GivenValues): StoreFlags {
  const input = Object.fromEntries([...given].map(([name, { value }]) => [name, value]));
  const result = storeFlagsSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => {
    const name = String(path[0]);
    const { value, origin } = given.get(name) ?? { value: undefined, origin: `--${name}` };
    return `Cannot use ${origin} "${String(value)}": expected ${message}`;
  });
  throw new UsageError(problems.join("\n"));
}

/** In etcd's words (embed/config.go Validate). */
function checkElection(flags: StoreFlags): void {
  const heartbeat = flags["heartbeat-interval"];
  const election = flags["election-timeout"];
  if (heartbeat === 0) throw new UsageError("--heartbeat-interval must be >0 (set to 0ms)");
  if (election === 0) throw new UsageError("--election-timeout must be >0 (set to 0ms)");
  if (5 * heartbeat > election) {
    throw new UsageError(
      `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`,
    );
  }
  if (election > ELECTION_MS_MAX) {
    throw new UsageError(
      `--election-timeout[${election}ms] is too long, and should be set less than ${ELECTION_MS_MAX}ms`,
    );
  }
}

/** In etcd's words (embed/config.go Validate). */
function checkCompactHashTime({ "compact-hash-check-time": ms }: StoreFlags): void {
  if (ms <= 0) throw new UsageError(`--compact-hash-check-time must be >0 (set to ${ms / 1_000}s)`);
}

function listenAddresses(flags: StoreFlags, flag: StoreFlagName & `listen-${string}`): ListenAddress[] {
  return (flags[flag] as readonly string[]).map((url) => listenAddress(url, flag));
}

function listenAddress(url: string, flag: string): ListenAddress {
  const { protocol, hostname, port } = new URL(url.replace(/^http:/, "ws:"));
  if (protocol !== "ws:") {
    const why =
      protocol === "https:"
        ? "TLS is not in this release"
        : "sockets on the file system are not in this release";
    throw new UsageError(`Cannot use --${flag} ${url}: ${why}, expected http://<address>:<port>`);
  }
  const host = withoutBrackets(hostname);
  const isAddress = /^[\d.]+$/.test(host) || host.includes(":");
  if (!isAddress && host !== "localhost") {
    throw new UsageError(
      `Cannot use --${flag} ${url}: expected an IP address to listen on, not the name "${host}"`,
    );
  }
  // Of localhost's two addresses the IPv4 one, as Go listens.
  return {
    host: host === "localhost" ? "127.0.0.1" : host,
    port: port === "" ? 80 : Number(port),
    url,
    flag,
  };
}

/** With no --initial-cluster it is this member alone, by its name and its advertised peer URLs. */
function initialCluster(flags: StoreFlags): InitialCluster {
  const text = flags["initial-cluster"];
  if (text !== "") return parseInitialCluster(text);
  return new Map([[flags.name, advertisedPeerUrls(flags)]]);
}

function advertisedPeerUrls(flags: StoreFlags): readonly string[] {
  const given = flags["initial-advertise-peer-urls"];
  const parsed = parseOwnPeerUrls(given);
  if ("urls" in parsed) return parsed.urls;
  throw new UsageError(
    `--initial-advertise-peer-urls "${given.join(",")}" cannot be used: ${parsed.problem}`,
  );
}

/** etcd's parseCompactionRetention: a bare number is hours, or revisions; in mode revision a duration is refused. */
function autoCompaction(flags: StoreFlags): AutoCompaction {
  const mode = flags["auto-compaction-mode"];
  const text = flags["auto-compaction-retention"];
  const number = /^\d+$/.test(text) ? Number(text) : undefined;
  if (number === 0) return { kind: "off" };
  if (mode === "revision") {
    if (number !== undefined && Number.isSafeInteger(number)) return { kind: "revision", retention: number };
    throw badRetention(text, 'a number of revisions, as --auto-compaction-mode is "revision"');
  }
  const retentionMs = number === undefined ? parseGoDuration(text) : number * 3_600_000;
  if (retentionMs === 0) return { kind: "off" };
  if (retentionMs === undefined || !(retentionMs >= 1)) {
    throw badRetention(text, 'a duration such as "10m" or "1h", or a number of hours');
  }
  return { kind: "periodic", retentionMs };
}

function badRetention(text: string, expected: string): UsageError {
  return new UsageError(`Cannot use --auto-compaction-retention "${text}": expected ${expected}`);
}
