import { CodedError, errorMessage } from "../../base/errors.ts";
import { idText } from "../raft/id-text.ts";
import type { Entry } from "../raft/types.ts";
import { bootstrapEntries } from "./bootstrap-entries.ts";
import { checkAdvertised, checkDuplicateUrls, checkLocalName, type FirstMembers } from "./first-members.ts";
import { clusterId, memberId } from "./member-id.ts";
import { describeCluster, type FetchMembers, fetchCluster, type RemoteCluster } from "./remote-cluster.ts";
import { type Lookup, sameUrls } from "./same-urls.ts";
import { byId, findMember, type Member } from "./types.ts";

/** How long one member is waited for (etcd server/etcdserver/cluster_util.go, config.go). */
const JOIN_TIMEOUT_MS = 10_000;
const SECOND_BEGINNING_TIMEOUT_MS = 1_000;

/** What the flags say of a member without data. */
export interface BootstrapConfig {
  readonly name: string;
  /** `--initial-advertise-peer-urls`. */
  readonly advertisePeerUrls: readonly string[];
  /** `--initial-cluster`. */
  readonly initialCluster: FirstMembers;
  readonly clusterToken: string;
  /** `--initial-cluster-state`: true is "new", false "existing". */
  readonly isNew: boolean;
  readonly learnersMax: number;
}

export interface BootstrapPorts {
  readonly fetchMembers: FetchMembers;
  readonly lookup: Lookup;
  readonly signal: AbortSignal;
}

/** How a member begins. */
export type BootstrapPlan =
  /** It goes on with the ids, the members and the log that it has. */
  | { readonly kind: "restart" }
  /** Its log begins with `entries`, committed, which name the members. */
  | ({ readonly kind: "new"; readonly entries: readonly Entry[] } & BootstrapIdentity)
  /** It has nothing, and waits for the leader to send it log or snapshot. `members`: whom it may hear from until then. */
  | ({ readonly kind: "join" } & BootstrapIdentity);

interface BootstrapIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Ascending by id; this one is among them. */
  readonly members: readonly Member[];
}

/**
 * Decides how a member begins (etcd server/etcdserver/bootstrap.go). `hasData`: it has a log, or knows its cluster's members;
 * then the flags do not count. Throws CodedError EBOOTSTRAP with etcd's words.
 */
export async function bootstrapPlan(
  config: BootstrapConfig,
  hasData: boolean,
  ports: BootstrapPorts,
): Promise<BootstrapPlan> {
  if (hasData) return { kind: "restart" };
  return config.isNew ? newCluster(config, ports) : existingCluster(config, ports);
}

async function newCluster(config: BootstrapConfig, ports: BootstrapPorts): Promise<BootstrapPlan> {
  checkLocalName(config);
  await checkAdvertised(config, ports);
  checkDuplicateUrls(config.initialCluster);
  const members = firstMembers(config);
  const own = ownId(config, members);
  await refuseSecondBeginning(config, own, ports);
  return {
    kind: "new",
    clusterId: clusterId(members.map(({ id }) => id)),
    memberId: own,
    members,
    entries: bootstrapEntries(members),
  };
}

async function existingCluster(config: BootstrapConfig, ports: BootstrapPorts): Promise<BootstrapPlan> {
  checkLocalName(config);
  checkDuplicateUrls(config.initialCluster);
  const local = firstMembers(config);
  const cluster = await fetchCluster(remotePeerUrls(config), { ...ports, timeoutMs: JOIN_TIMEOUT_MS }).catch(
    (error: unknown) => {
      ports.signal.throwIfAborted();
      throw refusal(`cannot fetch cluster info from peer urls: ${errorMessage(error)}`, error);
    },
  );
  const ids = await matchMembers(local, cluster, ports);
  if (cluster.members.filter(({ isLearner }) => isLearner).length > config.learnersMax) {
    throw refusal("membership: too many learner members in cluster");
  }
  const own = ids.get(config.name);
  if (own === undefined) throw refusal(`couldn't find local name "${config.name}" in the cluster`);
  refuseStarted(own, cluster);
  return { kind: "join", clusterId: cluster.clusterId, memberId: own, members: byId(cluster.members) };
}

/** The beginning of a new cluster's log, as the flags name its members; nothing for one that joins. */
export function firstLog(config: BootstrapConfig): {
  readonly clusterId: bigint;
  readonly entries: readonly Entry[];
} {
  const members = config.isNew ? firstMembers(config) : [];
  return { clusterId: clusterId(members.map(({ id }) => id)), entries: bootstrapEntries(members) };
}

function firstMembers({ initialCluster, clusterToken }: BootstrapConfig): Member[] {
  const members = Array.from(initialCluster, ([name, peerUrls]) => {
    return { id: memberId(peerUrls, clusterToken), name, peerUrls, clientUrls: [], isLearner: false };
  });
  return byId(members);
}

function ownId({ name }: BootstrapConfig, members: readonly Member[]): bigint {
  const own = members.find((member) => member.name === name);
  if (own === undefined)
    throw refusal(`couldn't find local name "${name}" in the initial cluster configuration`);
  return own.id;
}

/** See {@link refuseStarted}; a new cluster is one that nobody answers for yet. */
async function refuseSecondBeginning(
  config: BootstrapConfig,
  own: bigint,
  ports: BootstrapPorts,
): Promise<void> {
  const urls = remotePeerUrls(config);
  const cluster = await fetchCluster(urls, { ...ports, timeoutMs: SECOND_BEGINNING_TIMEOUT_MS }).catch(() => {
    ports.signal.throwIfAborted();
    return undefined;
  });
  if (cluster !== undefined) refuseStarted(own, cluster);
}

/**
 * A member that ran already, and lost its disk, has votes to its name that it forgot; and one that still runs would be there
 * twice. (etcd refuses who begins a new cluster, and lets who joins one run into a panic.)
 */
function refuseStarted(own: bigint, { members }: RemoteCluster): void {
  const known = findMember(members, own);
  if (known !== undefined && known.clientUrls.length > 0) {
    throw refusal(`member ${idText(own)} has already been bootstrapped`);
  }
}

function remotePeerUrls({ initialCluster, name }: BootstrapConfig): string[] {
  return [...initialCluster].flatMap(([member, urls]) => (member === name ? [] : urls)).sort();
}

/** Ids by name: each member that the cluster has is one of --initial-cluster, by its URLs (etcd ValidateClusterAndAssignIDs). */
async function matchMembers(
  local: readonly Member[],
  cluster: RemoteCluster,
  ports: BootstrapPorts,
): Promise<ReadonlyMap<string, bigint>> {
  const mismatch = (why: string) => refusal(`error validating peerURLs ${describeCluster(cluster)}: ${why}`);
  if (cluster.members.length !== local.length) throw mismatch("member count is unequal");
  const ids = new Map<string, bigint>();
  for (const { id, peerUrls } of byId(cluster.members)) {
    let reason = "";
    for (const { name, peerUrls: own } of local) {
      const result = await sameUrls(peerUrls, own, ports);
      if (result.same) {
        ids.set(name, id);
        reason = "";
        break;
      }
      ({ reason } = result);
    }
    if (reason !== "") {
      throw mismatch(
        `PeerURLs: no match found for existing member (${idText(id)}, [${peerUrls.join(" ")}]), last resolver error (${reason})`,
      );
    }
  }
  return ids;
}

function refusal(message: string, cause?: unknown): CodedError {
  return new CodedError("EBOOTSTRAP", message, { cause });
}
