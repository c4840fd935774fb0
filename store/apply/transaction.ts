import { latin1FromBytes } from "../backend/latin1.ts";
import { keyRange } from "../mvcc/key-range.ts";
import type { MvccStore } from "../mvcc/mvcc-store.ts";
import type { WriteTxn } from "../mvcc/write-txn.ts";
import { StoreError } from "../proto/errors.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
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

/** Decides every comparison, nested ones too, at the state before the transaction (etcd txn.compareToPath). */
export function planTxn(request: TxnRequest, store: MvccStore): TxnPlan {
  const succeeded = request.compare.every((compare) => holds(compare, store));
  const ops = succeeded ? request.success : request.failure;
  return { succeeded, ops: ops.flatMap((op) => planOp(op, store)) };
}

/** An operation of no known kind gives no answer; validation keeps it away. */
function planOp({ request }: RequestOp, store: MvccStore): PlannedOp[] {
  switch (request?.$case) {
    case "requestRange":
      return [{ kind: "range", request: request.value }];
    case "requestPut":
      return [{ kind: "put", request: request.value }];
    case "requestDeleteRange":
      return [{ kind: "deleteRange", request: request.value }];
    case "requestTxn":
      return [{ kind: "txn", plan: planTxn(request.value, store) }];
    default:
      return [];
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

/** Runs a checked plan inside a write transaction and gives its marshalled TxnResponse. */
export function runPlan(
  plan: TxnPlan,
  store: MvccStore,
  txn: WriteTxn,
  headerRevision: number | undefined,
): Buffer {
  const responses = plan.ops.map((op): OpResponse => {
    switch (op.kind) {
      case "range": {
        const { revision } = txn;
        const answer = runToEnd(store.range(op.request, revision));
        return { kind: "range", response: encodeRangeResponse(answer, revision) };
      }
      case "put": {
        const previous = runPut(op.request, store, txn);
        return { kind: "put", response: encodePutResponse(previous, txn.revision) };
      }
      case "deleteRange": {
        const answer = runDeleteRange(op.request, store, txn);
        return { kind: "deleteRange", response: encodeDeleteRangeResponse(answer, txn.revision) };
      }
      case "txn":
        return { kind: "txn", response: runPlan(op.plan, store, txn, 0) };
      default:
        return op satisfies never;
    }
  });
  return encodeTxnResponse({ succeeded: plan.succeeded, responses }, headerRevision);
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

/** Deletes; returns how many keys there were, and their records when the request asks for them. */
export function runDeleteRange(
  request: DeleteRangeRequest,
  store: MvccStore,
  txn: WriteTxn,
): { readonly deleted: number; readonly previous: readonly Uint8Array[] } {
  const range = keyRange(request.key, request.rangeEnd);
  const previous = request.prevKv ? store.recordsIn(range, txn.revision) : [];
  return { deleted: txn.deleteRange(range), previous };
}

function runToEnd<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
