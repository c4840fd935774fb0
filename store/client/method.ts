import { asBuffer } from "../../base/as-buffer.ts";
import {
  AlarmRequest,
  AlarmResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  HashKVRequest,
  HashKVResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusRequest,
  StatusResponse,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from "../proto/gen/rpc.ts";

/** A method of the store as the transport needs it: where it is, and how its messages are written and read. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly serialize: (message: Request) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
}

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}

function method<Request, Response>(
  path: string,
  request: Encoder<Request>,
  response: Decoder<Response>,
): Method<Request, Response> {
  return {
    path,
    serialize: (message) => asBuffer(request.encode(message).finish()),
    deserialize: (bytes) => response.decode(bytes),
  };
}

/** The methods that the client calls (rpc.proto). */
export const METHODS = {
  range: method("/etcdserverpb.KV/Range", RangeRequest, RangeResponse),
  put: method("/etcdserverpb.KV/Put", PutRequest, PutResponse),
  deleteRange: method("/etcdserverpb.KV/DeleteRange", DeleteRangeRequest, DeleteRangeResponse),
  txn: method("/etcdserverpb.KV/Txn", TxnRequest, TxnResponse),
  compact: method("/etcdserverpb.KV/Compact", CompactionRequest, CompactionResponse),
  watch: method("/etcdserverpb.Watch/Watch", WatchRequest, WatchResponse),
  leaseGrant: method("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest, LeaseGrantResponse),
  leaseRevoke: method("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest, LeaseRevokeResponse),
  leaseKeepAlive: method("/etcdserverpb.Lease/LeaseKeepAlive", LeaseKeepAliveRequest, LeaseKeepAliveResponse),
  leaseTimeToLive: method(
    "/etcdserverpb.Lease/LeaseTimeToLive",
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
  ),
  leaseLeases: method("/etcdserverpb.Lease/LeaseLeases", LeaseLeasesRequest, LeaseLeasesResponse),
  memberList: method("/etcdserverpb.Cluster/MemberList", MemberListRequest, MemberListResponse),
  memberAdd: method("/etcdserverpb.Cluster/MemberAdd", MemberAddRequest, MemberAddResponse),
  memberRemove: method("/etcdserverpb.Cluster/MemberRemove", MemberRemoveRequest, MemberRemoveResponse),
  memberUpdate: method("/etcdserverpb.Cluster/MemberUpdate", MemberUpdateRequest, MemberUpdateResponse),
  memberPromote: method("/etcdserverpb.Cluster/MemberPromote", MemberPromoteRequest, MemberPromoteResponse),
  moveLeader: method("/etcdserverpb.Maintenance/MoveLeader", MoveLeaderRequest, MoveLeaderResponse),
  alarm: method("/etcdserverpb.Maintenance/Alarm", AlarmRequest, AlarmResponse),
  status: method("/etcdserverpb.Maintenance/Status", StatusRequest, StatusResponse),
  hashKv: method("/etcdserverpb.Maintenance/HashKV", HashKVRequest, HashKVResponse),
  authenticate: method("/etcdserverpb.Auth/Authenticate", AuthenticateRequest, AuthenticateResponse),
} as const;
