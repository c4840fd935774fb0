import { createHash } from "node:crypto";

/** One member of the cluster, as MemberList tells it (etcd rpc.proto Member). */
export interface MemberInfo {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

/**
 * A first member's id, computed as etcd does, so that the same flags give the same ids: the first 8 bytes, big-endian, of
 * the SHA-1 of its sorted peer URLs and the cluster token written one after another.
 */
export function memberId(peerUrls: readonly string[], clusterToken: string): bigint {
  return sha1Id(Buffer.from([...peerUrls].sort().join("") + clusterToken, "utf8"));
}

/** A cluster's id: the same of its first members' ids, ascending, 8 bytes big-endian each. */
export function clusterId(memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  const ascending = [...memberIds].sort((one, other) => (one < other ? -1 : 1));
  for (const [index, id] of ascending.entries()) bytes.writeBigUInt64BE(id, 8 * index);
  return sha1Id(bytes);
}

function sha1Id(bytes: Buffer): bigint {
  return createHash("sha1").update(bytes).digest().readBigUInt64BE(0);
}
