import { invariant } from "../../base/invariant.ts";
import type { ReplicatedLessor } from "../lease/replicated-lessor.ts";
import type { MemberTable } from "../membership/member-table.ts";
import type { MvccStore } from "../mvcc/mvcc-store.ts";
import type { WriteTxn } from "../mvcc/write-txn.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import { StoreError } from "../proto/errors.ts";
import type { ClusterMemberAttrSetRequest } from "../proto/gen/membership.ts";
import {
  type AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  type DeleteRangeRequest,
  type LeaseGrantRequest,
  LeaseGrantResponse,
  type PutRequest,
  type TxnRequest,
} from "../proto/gen/rpc.ts";
import type { MvccWatchHub } from "../watch/mvcc-watch-hub.ts";
import type { AlarmStore } from "./alarm-store.ts";
import { requestCostBytes } from "./quota.ts";
import { encodeDeleteRangeResponse, encodePutResponse } from "./response-encoding.ts";
import { checkPlan, checkPutAgainstState, planTxn, runDeleteRange, runPlan, runPut } from "./transaction.ts";
import type { RaftRequest } from "./types.ts";

/** What the requests of the log act on. */
export interface StateParts {
  readonly store: MvccStore;
  readonly lessor: ReplicatedLessor;
  readonly alarms: AlarmStore;
  readonly members: MemberTable;
  readonly hub: MvccWatchHub;
}

/**
 * Carries out one request of the log, in steps, and gives its marshalled response without the header (etcd etcdserver/apply).
 * Throws StoreError, and has then changed nothing. The watch hub is told of what changed before it returns.
 */
export function* applyRequest(request: RaftRequest, parts: StateParts): Generator<undefined, Buffer> {
  refuseUnderAlarm(request, parts.alarms);
  switch (request.$case) {
    case "put":
      return yield* applyPut(request.value, parts);
    case "deleteRange":
      return yield* applyDeleteRange(request.value, parts);
    case "txn":
      return yield* applyTxn(request.value, parts);
    case "compaction":
      parts.store.compact(request.value.revision);
      return EMPTY_BYTES;
    case "leaseGrant":
      return applyLeaseGrant(request.value, parts);
    case "leaseRevoke":
      return yield* applyLeaseRevoke(request.value.ID, parts);
    case "leaseCheckpoint":
      for (const { ID, remainingTTL } of request.value.checkpoints) parts.lessor.checkpoint(ID, remainingTTL);
      return EMPTY_BYTES;
    case "alarm":
      return applyAlarm(request.value, parts);
    case "clusterMemberAttrSet":
      return applyMemberAttributes(request.value, parts);
    default:
      return request satisfies never;
  }
}

const NEVER_REFUSED: ReadonlySet<RaftRequest["$case"]> = new Set([
  "alarm",
  "leaseCheckpoint",
  "clusterMemberAttrSet",
]);

/** CORRUPT refuses what reads or writes keys; NOSPACE what could add a byte (etcd apply/corrupt.go, capped.go). */
function refuseUnderAlarm(request: RaftRequest, alarms: AlarmStore): void {
  if (NEVER_REFUSED.has(request.$case)) return;
  if (alarms.has(AlarmType.CORRUPT)) throw new StoreError("Corrupt");
  if (alarms.has(AlarmType.NOSPACE) && requestCostBytes(request) > 0) throw new StoreError("NoSpace");
}

function* applyPut(request: PutRequest, parts: StateParts): Generator<undefined, Buffer> {
  checkPutAgainstState(request, parts.store, parts.lessor);
  const txn = parts.store.beginWrite();
  const previous = runPut(request, parts.store, txn);
  yield* endWrite(txn, parts);
  return previous === undefined ? EMPTY_BYTES : encodePutResponse(previous, undefined);
}

function* applyDeleteRange(request: DeleteRangeRequest, parts: StateParts): Generator<undefined, Buffer> {
  const answer = yield* write(parts, (txn) => runDeleteRange(request, parts.store, txn));
  return encodeDeleteRangeResponse(answer, undefined);
}

function* applyTxn(request: TxnRequest, parts: StateParts): Generator<undefined, Buffer> {
  const plan = yield* planTxn(request, parts.store, parts.store.revision);
  checkPlan(plan, parts.store, parts.lessor);
  return yield* write(parts, (txn) => runPlan(plan, parts.store, txn, undefined));
}

function applyLeaseGrant({ ID, TTL }: LeaseGrantRequest, { lessor }: StateParts): Buffer {
  const { grantedTtlSeconds } = lessor.grant(ID, TTL);
  return LeaseGrantResponse.encode({ header: undefined, ID, TTL: grantedTtlSeconds, error: "" }).finish();
}

/** The lease and its keys go together, the keys in order, at one revision. */
function* applyLeaseRevoke(id: bigint, parts: StateParts): Generator<undefined, Buffer> {
  const keys = yield* parts.lessor.beginRevoke(id);
  yield* write(parts, (txn) => txn.deleteKeys(keys));
  parts.lessor.endRevoke(id);
  return EMPTY_BYTES;
}

function applyAlarm({ action, memberID, alarm }: AlarmRequest, { alarms }: StateParts): Buffer {
  switch (action) {
    case AlarmRequest_AlarmAction.GET:
      return encodeAlarms(alarms.list(alarm));
    case AlarmRequest_AlarmAction.ACTIVATE:
      return encodeAlarms(alarm === AlarmType.NONE ? [] : [alarms.activate({ memberID, alarm })]);
    case AlarmRequest_AlarmAction.DEACTIVATE: {
      const gone = alarms.deactivate({ memberID, alarm });
      return encodeAlarms(gone === undefined ? [] : [gone]);
    }
    default:
      return EMPTY_BYTES;
  }
}

function applyMemberAttributes(
  { memberID, memberAttributes }: ClusterMemberAttrSetRequest,
  { members }: StateParts,
): Buffer {
  const { name = "", clientUrls = [] } = memberAttributes ?? {};
  members.setAttributes(memberID, { name, clientUrls });
  return EMPTY_BYTES;
}

function encodeAlarms(alarms: ReturnType<AlarmStore["list"]>): Buffer {
  return AlarmResponse.encode({ header: undefined, alarms: [...alarms] }).finish();
}

/**
 * One write transaction. What it is refused for has been checked: a change cannot be taken back, and the next transaction
 * would take its revision a second time.
 */
function* write<T>(
  parts: StateParts,
  body: (txn: WriteTxn) => Generator<undefined, T>,
): Generator<undefined, T> {
  const txn = parts.store.beginWrite();
  try {
    const result = yield* body(txn);
    yield* endWrite(txn, parts);
    return result;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    invariant(false, `a transaction that has begun is not refused, found "${error.message}"`);
  }
}

/** Its changes are the newest revision, and are told to the watchers. */
function endWrite(txn: WriteTxn, { store, hub }: StateParts): Generator<undefined, void> {
  return hub.notify(store.endWrite(txn));
}
