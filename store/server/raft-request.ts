import { BinaryWriter } from "../proto/binary-writer.ts";

/** Field numbers of InternalRaftRequest (internal.proto). */
const FIELDS = {
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  clusterMemberAttrSet: 1301,
} as const;

export type RaftRequestKind = keyof typeof FIELDS;

const HEADER_KEY = (100 << 3) | 2;
const HEADER_ID_KEY = (1 << 3) | 0;

/**
 * A log entry for a request: header, and the request's own bytes as the client sent them, without decoding and encoding
 * them again (internal.proto InternalRaftRequest). The result is the caller's.
 */
export function encodeRaftRequest(kind: RaftRequestKind, requestId: bigint, request: Uint8Array): Buffer {
  const front = new BinaryWriter()
    .uint32(HEADER_KEY)
    .fork()
    .uint32(HEADER_ID_KEY)
    .uint64(requestId)
    .join()
    .uint32((FIELDS[kind] << 3) | 2)
    .uint32(request.byteLength)
    .finish();
  return Buffer.concat([front, request]);
}
