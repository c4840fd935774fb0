import type { KeyValue as KeyValueMessage } from "../proto/gen/kv.ts";
import {
  type AlarmResponse,
  AlarmType,
  type DeleteRangeResponse,
  type LeaseTimeToLiveResponse,
  type Member,
  type MemberListResponse,
  type PutResponse,
  type RangeResponse,
  type ResponseHeader,
  type ResponseOp,
  type StatusResponse,
  type TxnResponse,
} from "../proto/gen/rpc.ts";
import type {
  Alarm,
  AlarmsResult,
  DeleteResult,
  LeaseTimeToLiveResult,
  MemberInfo,
  MemberListResult,
  OperationResult,
  PutResult,
  RangeResult,
  StatusResult,
  TxnResult,
} from "./results.ts";
import type { Header, KeyValue } from "./types.ts";

const NO_HEADER: Header = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };

const EMPTY_RANGE: RangeResponse = { header: undefined, kvs: [], more: false, count: 0 };

/** From the messages of rpc.proto to what the client gives. A header that is not there is all zeros. */
export function headerOf(message: { readonly header: ResponseHeader | undefined }): Header {
  return message.header ?? NO_HEADER;
}

/** The generated message has the shape of {@link KeyValue}, field by field: nothing is copied. */
export function keyValueOf(message: KeyValueMessage): KeyValue {
  return message;
}

export function rangeResult(message: RangeResponse): RangeResult {
  return { header: headerOf(message), kvs: message.kvs, more: message.more, count: message.count };
}

export function putResult(message: PutResponse): PutResult {
  return { header: headerOf(message), prevKv: message.prevKv };
}

export function deleteResult(message: DeleteRangeResponse): DeleteResult {
  return { header: headerOf(message), deleted: message.deleted, prevKvs: message.prevKvs };
}

export function txnResult(message: TxnResponse): TxnResult {
  return {
    header: headerOf(message),
    succeeded: message.succeeded,
    responses: message.responses.map(operationResult),
  };
}

export function timeToLiveResult(message: LeaseTimeToLiveResponse): LeaseTimeToLiveResult {
  return {
    header: headerOf(message),
    id: message.ID,
    ttlSeconds: message.TTL,
    grantedTtlSeconds: message.grantedTTL,
    keys: message.keys,
  };
}

export function memberListResult(message: MemberListResponse): MemberListResult {
  return { header: headerOf(message), members: message.members.map(memberOf) };
}

export function memberOf({ ID, name, peerURLs, clientURLs, isLearner }: Member): MemberInfo {
  return { id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}

export function statusResult(message: StatusResponse): StatusResult {
  const { header: _, downgradeInfo, ...figures } = message;
  return { ...figures, header: headerOf(message), downgrade: downgradeInfo };
}

export function alarmsResult(message: AlarmResponse): AlarmsResult {
  const alarms = message.alarms.map((alarm) => ({
    memberId: alarm.memberID,
    type: alarmType(alarm.alarm),
  }));
  return { header: headerOf(message), alarms };
}

function alarmType(type: AlarmType): Alarm["type"] {
  switch (type) {
    case AlarmType.NOSPACE:
      return "NOSPACE";
    case AlarmType.CORRUPT:
      return "CORRUPT";
    default:
      return "NONE";
  }
}

function operationResult(message: ResponseOp): OperationResult {
  const { response } = message;
  switch (response?.$case) {
    case "responsePut":
      return { kind: "put", ...putResult(response.value) };
    case "responseDeleteRange":
      return { kind: "delete", ...deleteResult(response.value) };
    case "responseTxn":
      return { kind: "txn", ...txnResult(response.value) };
    case "responseRange":
      return { kind: "range", ...rangeResult(response.value) };
    case undefined:
      return { kind: "range", ...rangeResult(EMPTY_RANGE) };
    default:
      return response satisfies never;
  }
}
