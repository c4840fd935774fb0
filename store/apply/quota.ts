import type { PutRequest, RequestOp, TxnRequest } from "../proto/gen/rpc.ts";
import type { RaftRequest } from "./types.ts";

/** etcd storage/quota.go DefaultQuotaBytes. */
export const DEFAULT_QUOTA_BYTES = 2 * 1024 * 1024 * 1024;

/** Estimated cost of a key's and of a lease's record beside the request's own bytes (etcd storage/quota.go). */
const KEY_OVERHEAD_BYTES = 256;
const LEASE_OVERHEAD_BYTES = 64;

/** What a request may add to the backend, in bytes; 0 when it adds nothing. */
export function requestCostBytes(request: RaftRequest): number {
  switch (request.$case) {
    case "put":
      return putCostBytes(request.value);
    case "txn":
      return txnCostBytes(request.value);
    case "leaseGrant":
      return LEASE_OVERHEAD_BYTES;
    default:
      return 0;
  }
}

/** That of the dearer branch. */
function txnCostBytes(request: TxnRequest): number {
  return Math.max(opsCostBytes(request.success), opsCostBytes(request.failure));
}

function opsCostBytes(ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const { request } of ops) {
    if (request?.$case === "requestPut") bytes += putCostBytes(request.value);
    else if (request?.$case === "requestTxn") bytes += txnCostBytes(request.value);
  }
  return bytes;
}

function putCostBytes({ key, value }: PutRequest): number {
  return KEY_OVERHEAD_BYTES + key.length + value.length;
}
