import { idText } from "../raft/id-text.ts";
import { byId, type Member } from "./types.ts";

/** A cluster as one of its members tells it. */
export interface RemoteCluster {
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

/** Asks the member at a peer URL who belongs to its cluster; rejects when it does not answer within `timeoutMs`. */
export type FetchMembers = (
  peerUrl: string,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<RemoteCluster>;

/** The answer of the first member that gives one (etcd server/etcdserver/cluster_util.go). Rejects with etcd's words. */
export async function fetchCluster(
  peerUrls: readonly string[],
  options: { readonly fetchMembers: FetchMembers; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<RemoteCluster> {
  let cause: unknown;
  for (const url of peerUrls) {
    let cluster: RemoteCluster;
    try {
      cluster = await options.fetchMembers(url, options);
    } catch (error) {
      options.signal.throwIfAborted();
      cause = error;
      continue;
    }
    if (cluster.members.length > 0) return cluster;
    throw new Error("failed to get raft cluster member(s) from the given URLs");
  }
  throw new Error("could not retrieve cluster information from the given URLs", { cause });
}

/** As etcd prints a cluster (membership/cluster.go String). */
export function describeCluster({ clusterId, members }: RemoteCluster): string {
  return `{ClusterID:${idText(clusterId)} Members:[${byId(members).map(describeMember).join(" ")}] RemovedMemberIDs:[]}`;
}

function describeMember({ id, name, peerUrls, clientUrls, isLearner }: Member): string {
  const raft = `{PeerURLs:[${peerUrls.join(" ")}] IsLearner:${isLearner}}`;
  return `&{ID:${idText(id)} RaftAttributes:${raft} Attributes:{Name:${name} ClientURLs:[${clientUrls.join(" ")}]}}`;
}
