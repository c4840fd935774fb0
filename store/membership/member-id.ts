import { createHash } from "node:crypto";

/**
 * A member's id, computed as etcd does (membership/member.go), so that the same flags give the same ids: the first 8 bytes,
 * big-endian, of the SHA-1 of its sorted peer URLs, the cluster's token and, for one that is added to a running cluster,
 * the time, written one after another.
 */
export function memberId(peerUrls: readonly string[], clusterToken: string, addedAtSeconds?: number): bigint {
  const time = addedAtSeconds === undefined ? "" : String(addedAtSeconds);
  return sha1Id(Buffer.from([...peerUrls].sort().join("") + clusterToken + time, "utf8"));
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
