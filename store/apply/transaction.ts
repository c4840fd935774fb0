import { latin1FromBytes } from "../backend/latin1.ts";
import { keyRange } from "../mvcc/key-range.ts";
import type { MvccStore } from "../mvcc/mvcc-store.ts";
import type { WriteTxn } from "../mvcc/write-txn.ts";
import { StoreError } from "../proto/errors.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import {
  type DeleteRangeRequest,
  type PutRequest,
  RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../proto/gen/rpc.ts";
import { holds } from "./compare.ts";
import {
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  type OpResponse,
} from "./response-encoding.ts";

/** The leases that exist, as a put has to know them. */
export interface LeaseLookup {
  lookup(id: bigint): unknown;
}

/** A transaction whose comparisons are decided: the operations that will run. */
export interface TxnPlan {
  readonly succeeded: boolean;
  readonly ops: readonly PlannedOp[];
}

type PlannedOp =
  | { readonly kind: "range"; readonly request: RangeRequest }
  | { readonly kind: "put"; readonly request: PutRequest }
  | { readonly kind: "deleteRange"; readonly request: DeleteRangeRequest }
  | { readonly kind: "txn"; readonly plan: TxnPlan };

/** Decides every comparison, nested ones too, at `revision`, the one before the transaction (etcd txn.compareToPath); in steps. */
export function* planTxn(
  request: TxnRequest,
  store: MvccStore,
  revision: number,
): Generator<undefined, TxnPlan> {
  let succeeded = true;
  for (const compare of request.compare) {
    succeeded = yield* holds(compare, store, revision);
    if (!succeeded) break;
  }
  const ops: PlannedOp[] = [];
  for (const op of succeeded ? request.success : request.failure) {
    const planned = yield* planOp(op, store, revision);
    if (planned !== undefined) ops.push(planned);
  }
  return { succeeded, ops };
}

/** An operation of no known kind gives no answer; validation keeps it away. */
function* planOp(
  { request }: RequestOp,
  store: MvccStore,
  revision: number,
): Generator<undefined, PlannedOp | undefined> {
  switch (request?.$case) {
    case "requestRange":
      return { kind: "range", request: request.value };
    case "requestPut":
      return { kind: "put", request: request.value };
    case "requestDeleteRange":
      return { kind: "deleteRange", request: request.value };
    case "requestTxn":
      return { kind: "txn", plan: yield* planTxn(request.value, store, revision) };
    default:
      return undefined;
  }
}

/**
 * Throws what an operation of the plan would be refused for, before the first one writes (etcd txn.checkTxn): Compacted,
 * FutureRev, LeaseNotFound, KeyNotFound.
 */
export function checkPlan(plan: TxnPlan, store: MvccStore, leases: LeaseLookup): void {
  for (const op of plan.ops) {
    switch (op.kind) {
      case "range":
        store.assertReadable(op.request.revision);
        break;
      case "put":
        checkPutAgainstState(op.request, store, leases);
        break;
      case "deleteRange":
        break;
      case "txn":
        checkPlan(op.plan, store, leases);
        break;
      default:
        op satisfies never;
    }
  }
}

/** Throws LeaseNotFound for a lease that is not there, KeyNotFound when there is nothing to keep a value or lease of. */
export function checkPutAgainstState(request: PutRequest, store: MvccStore, leases: LeaseLookup): void {
  if (request.lease !== 0n && leases.lookup(request.lease) === undefined) {
    throw new StoreError("LeaseNotFound");
  }
  if (!request.ignoreValue && !request.ignoreLease) return;
  const key = latin1FromBytes(request.key);
  if (store.recordAt(key, store.revision) === undefined) throw new StoreError("KeyNotFound");
}

/** Runs a checked plan inside a write transaction, in steps, and gives its marshalled TxnResponse. */
export function* runPlan(
  plan: TxnPlan,
  store: MvccStore,
  txn: WriteTxn,
  headerRevision: number | undefined,
): Generator<undefined, Buffer> {
  const responses: OpResponse[] = [];
  for (const op of plan.ops) {
    if (responses.length > 0) yield;
    responses.push(yield* runOp(op, store, txn));
  }
  return encodeTxnResponse({ succeeded: plan.succeeded, responses }, headerRevision);
}

function* runOp(op: PlannedOp, store: MvccStore, txn: WriteTxn): Generator<undefined, OpResponse> {
  switch (op.kind) {
    case "range": {
      const { revision } = txn;
      const answer = yield* store.range(op.request, revision);
      return { kind: "range", response: encodeRangeResponse(answer, revision) };
    }
    case "put": {
      const previous = runPut(op.request, store, txn);
      return { kind: "put", response: encodePutResponse(previous, txn.revision) };
    }
    case "deleteRange": {
      const answer = yield* runDeleteRange(op.request, store, txn);
      return { kind: "deleteRange", response: encodeDeleteRangeResponse(answer, txn.revision) };
    }
    case "txn":
      return { kind: "txn", response: yield* runPlan(op.plan, store, txn, 0) };
    default:
      return op satisfies never;
  }
}

/** Runs a checked plan that only reads, in steps, all at one revision. */
export function* readPlan(
  plan: TxnPlan,
  store: MvccStore,
  revision: number,
  headerRevision: number | undefined,
): Generator<undefined, Buffer> {
  const responses: OpResponse[] = [];
  for (const op of plan.ops) {
    if (op.kind === "range") {
      const answer = yield* store.range(op.request, revision);
      responses.push({ kind: "range", response: encodeRangeResponse(answer, revision) });
    } else if (op.kind === "txn") {
      responses.push({ kind: "txn", response: yield* readPlan(op.plan, store, revision, 0) });
    }
  }
  return encodeTxnResponse({ succeeded: plan.succeeded, responses }, headerRevision);
}

/** Puts; returns the record that was there when the request asks for it. */
export function runPut(request: PutRequest, store: MvccStore, txn: WriteTxn): Uint8Array | undefined {
  if (!request.prevKv && !request.ignoreValue && !request.ignoreLease) {
    txn.put(request.key, request.value, request.lease);
    return undefined;
  }
  const previous = store.recordAt(latin1FromBytes(request.key), txn.revision);
  const kept = previous === undefined ? undefined : KeyValue.decode(previous);
  txn.put(
    request.key,
    request.ignoreValue ? (kept?.value ?? request.value) : request.value,
    request.ignoreLease ? (kept?.lease ?? request.lease) : request.lease,
  );
  return request.prevKv ? previous : undefined;
}

/** Deletes, in steps; gives how many keys there were, and their records when the request asks for them. */
export function* runDeleteRange(
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
  store: MvccStore,
  txn: WriteTxn,
): Generator<undefined, { readonly deleted: number; readonly previous: readonly Uint8Array[] }> {
  const previous = prevKv
    ? (yield* store.range(RangeRequest.create({ key, rangeEnd }), txn.revision)).kvs
    : [];
  return { deleted: yield* txn.deleteRange(keyRange(key, rangeEnd)), previous };
}
