import {
  Compare_CompareResult,
  Compare_CompareTarget,
  type Compare as CompareMessage,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RequestOp,
  type TxnRequest,
} from "../proto/gen/rpc.ts";
import { keyRange, toBuffer } from "./key-range.ts";
import type {
  Bytes,
  Compare,
  DeleteOptions,
  Operation,
  PutOptions,
  RangeOptions,
  Transaction,
} from "./operations.ts";

const SORT_ORDER = {
  ascend: RangeRequest_SortOrder.ASCEND,
  descend: RangeRequest_SortOrder.DESCEND,
} as const;

const SORT_TARGET = {
  key: RangeRequest_SortTarget.KEY,
  version: RangeRequest_SortTarget.VERSION,
  create: RangeRequest_SortTarget.CREATE,
  mod: RangeRequest_SortTarget.MOD,
  value: RangeRequest_SortTarget.VALUE,
} as const;

const RESULT = {
  "=": Compare_CompareResult.EQUAL,
  "!=": Compare_CompareResult.NOT_EQUAL,
  ">": Compare_CompareResult.GREATER,
  "<": Compare_CompareResult.LESS,
} as const;

/** From the client's words to the messages of rpc.proto. */
export function rangeRequest(key: Bytes, options: RangeOptions): RangeRequest {
  return {
    ...keyRange(key, options),
    limit: options.limit ?? 0,
    revision: options.revision ?? 0,
    sortOrder: options.sortOrder === undefined ? RangeRequest_SortOrder.NONE : SORT_ORDER[options.sortOrder],
    sortTarget: SORT_TARGET[options.sortTarget ?? "key"],
    serializable: options.serializable ?? false,
    keysOnly: options.keysOnly ?? false,
    countOnly: options.countOnly ?? false,
    minModRevision: options.minModRevision ?? 0,
    maxModRevision: options.maxModRevision ?? 0,
    minCreateRevision: options.minCreateRevision ?? 0,
    maxCreateRevision: options.maxCreateRevision ?? 0,
  };
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions): PutRequest {
  return {
    key: toBuffer(key),
    value: toBuffer(value),
    lease: options.lease ?? 0n,
    prevKv: options.prevKv ?? false,
    ignoreValue: options.ignoreValue ?? false,
    ignoreLease: options.ignoreLease ?? false,
  };
}

export function deleteRequest(key: Bytes, options: DeleteOptions): DeleteRangeRequest {
  return { ...keyRange(key, options), prevKv: options.prevKv ?? false };
}

export function txnRequest(transaction: Transaction): TxnRequest {
  return {
    compare: (transaction.compare ?? []).map(compareMessage),
    success: (transaction.success ?? []).map(requestOp),
    failure: (transaction.failure ?? []).map(requestOp),
  };
}

/** Whether a transaction changes nothing, whichever branch runs: then it may be sent again. */
export function isReadOnly(transaction: Transaction): boolean {
  return [...(transaction.success ?? []), ...(transaction.failure ?? [])].every(
    (operation) => operation.kind === "range" || (operation.kind === "txn" && isReadOnly(operation)),
  );
}

function requestOp(operation: Operation): RequestOp {
  switch (operation.kind) {
    case "range":
      return { request: { $case: "requestRange", value: rangeRequest(operation.key, operation) } };
    case "put":
      return {
        request: { $case: "requestPut", value: putRequest(operation.key, operation.value, operation) },
      };
    case "delete":
      return { request: { $case: "requestDeleteRange", value: deleteRequest(operation.key, operation) } };
    case "txn":
      return { request: { $case: "requestTxn", value: txnRequest(operation) } };
    default:
      return operation satisfies never;
  }
}

function compareMessage(compare: Compare): CompareMessage {
  return {
    ...compareTarget(compare),
    result: RESULT[compare.result],
    key: toBuffer(compare.key),
    rangeEnd: toBuffer(compare.rangeEnd ?? ""),
  };
}

function compareTarget(compare: Compare): Pick<CompareMessage, "target" | "targetUnion"> {
  switch (compare.target) {
    case "version":
      return {
        target: Compare_CompareTarget.VERSION,
        targetUnion: { $case: "version", value: compare.operand },
      };
    case "create":
      return {
        target: Compare_CompareTarget.CREATE,
        targetUnion: { $case: "createRevision", value: compare.operand },
      };
    case "mod":
      return {
        target: Compare_CompareTarget.MOD,
        targetUnion: { $case: "modRevision", value: compare.operand },
      };
    case "value":
      return {
        target: Compare_CompareTarget.VALUE,
        targetUnion: { $case: "value", value: toBuffer(compare.operand) },
      };
    case "lease":
      return { target: Compare_CompareTarget.LEASE, targetUnion: { $case: "lease", value: compare.operand } };
    default:
      return compare satisfies never;
  }
}
