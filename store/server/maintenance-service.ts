import type { Logger } from "../../base/log.ts";
import { findMember } from "../membership/types.ts";
import { StoreError } from "../proto/errors.ts";
import {
  type AlarmMember,
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  HashKVRequest,
  HashKVResponse,
  HashResponse,
  MoveLeaderRequest,
  StatusResponse,
} from "../proto/gen/rpc.ts";
import { NONE } from "../raft/types.ts";
import type { Replica } from "../replica/replica.ts";
import { alarmName } from "./alarm-name.ts";
import { decodeRequest } from "./decode-request.ts";
import { downgrade } from "./downgrade.ts";
import type { KvHashes } from "./kv-hashes.ts";
import type { Proposals } from "./proposals.ts";
import type { ResponseHeaders } from "./response-header.ts";
import type { CallContext, Handler, ServiceTable } from "./service.ts";
import { type SnapshotSource, streamSnapshot } from "./snapshot-stream.ts";
import type { Turns } from "./turns.ts";
import { ETCD_API_VERSION, ETCD_MINOR_VERSION } from "./version.ts";

export interface MaintenanceServiceOptions {
  readonly replica: Replica;
  readonly proposals: Proposals;
  readonly headers: ResponseHeaders;
  readonly turns: Turns;
  readonly hashes: KvHashes;
  readonly logger: Logger;
  readonly snapshots: SnapshotSource;
}

/** The service Maintenance (etcd rpc.proto). Status is of this member alone, whether there is a leader or not. */
export function maintenanceService(options: MaintenanceServiceOptions): ServiceTable {
  const { snapshots } = options;
  return new Map<string, Handler>([
    ["/etcdserverpb.Maintenance/Status", { kind: "unary", call: async () => status(options) }],
    [
      "/etcdserverpb.Maintenance/Alarm",
      { kind: "unary", call: (bytes, context) => alarm(options, bytes, context) },
    ],
    [
      "/etcdserverpb.Maintenance/HashKV",
      { kind: "unary", call: (bytes, context) => hashKv(options, bytes, context) },
    ],
    ["/etcdserverpb.Maintenance/Defragment", { kind: "unary", call: () => defragment(options) }],
    [
      "/etcdserverpb.Maintenance/Snapshot",
      {
        kind: "stream",
        call: async (requests, respond, context) => {
          for await (const _ of requests) await streamSnapshot(snapshots, respond, context);
        },
      },
    ],
    [
      "/etcdserverpb.Maintenance/MoveLeader",
      { kind: "unary", call: (bytes, context) => moveLeader(options, bytes, context) },
    ],
    ["/etcdserverpb.Maintenance/Hash", { kind: "unary", call: (_, context) => hash(options, context) }],
    [
      "/etcdserverpb.Maintenance/Downgrade",
      { kind: "unary", call: (bytes, context) => downgrade(options, bytes, context) },
    ],
  ]);
}

function status({ replica, headers }: MaintenanceServiceOptions): Buffer {
  const { leader, commit, term } = replica.status;
  const { totalBytes, inUseBytes, quotaBytes } = replica.state.size();
  const errors = replica.state.alarms.map(alarmText);
  if (leader === NONE) errors.unshift(new StoreError("NoLeader").message);
  const body = StatusResponse.encode({
    header: undefined,
    version: ETCD_API_VERSION,
    dbSize: totalBytes,
    leader,
    raftIndex: commit,
    raftTerm: term,
    raftAppliedIndex: replica.state.appliedIndex,
    errors,
    dbSizeInUse: inUseBytes,
    isLearner: findMember(replica.state.members, replica.memberId)?.isLearner ?? false,
    storageVersion: ETCD_MINOR_VERSION,
    dbSizeQuota: quotaBytes,
    downgradeInfo: { enabled: false, targetVersion: "" },
  }).finish();
  return headers.before(replica.state.revision, body);
}

/** The text form of the message, which is what etcd puts into Status. */
function alarmText({ memberID, alarm: type }: AlarmMember): string {
  return `memberID:${memberID} alarm:${alarmName(type) ?? type}`;
}

async function alarm(
  { replica, proposals, headers }: MaintenanceServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { action, alarm: wanted } = decodeRequest(AlarmRequest, bytes);
  if (action !== AlarmRequest_AlarmAction.GET) {
    const { revision, response } = await proposals.propose("alarm", bytes, context);
    return headers.before(revision, response);
  }
  const alarms = replica.state.alarms.filter(
    (raised) => wanted === AlarmType.NONE || raised.alarm === wanted,
  );
  const body = AlarmResponse.encode({ header: undefined, alarms: [...alarms] }).finish();
  return headers.before(replica.state.revision, body);
}

async function hashKv(
  { replica, headers, hashes }: MaintenanceServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { revision } = decodeRequest(HashKVRequest, bytes);
  const storeRevision = replica.state.revision;
  const held = await hashes.at(revision, context);
  return headers.before(storeRevision, HashKVResponse.encode({ header: undefined, ...held }).finish());
}

/** Of all that the members have in common, keys and whatever else; comparable while nothing is written. */
async function hash(
  { replica, headers, turns }: MaintenanceServiceOptions,
  context: CallContext,
): Promise<Buffer> {
  const { revision } = replica.state;
  const value = await turns.run(replica.state.hash(), context);
  return headers.before(revision, HashResponse.encode({ header: undefined, hash: value }).finish());
}

/** The backend reuses its free pages by itself: there is nothing to defragment, and what is applied is made durable. */
async function defragment({ replica }: MaintenanceServiceOptions): Promise<Buffer> {
  await replica.state.flush();
  return Buffer.alloc(0);
}

/** Only the leader is asked to go; its answer has no header (etcd v3rpc/maintenance.go). */
async function moveLeader(
  { replica }: MaintenanceServiceOptions,
  bytes: Uint8Array,
  context: CallContext,
): Promise<Buffer> {
  const { targetID } = decodeRequest(MoveLeaderRequest, bytes);
  if (replica.status.leader !== replica.memberId) throw new StoreError("NotLeader");
  const target = findMember(replica.state.members, targetID);
  if (target === undefined || target.isLearner) throw new StoreError("BadLeaderTransferee");
  if (targetID !== replica.memberId) await replica.transferLeader(targetID, context);
  return Buffer.alloc(0);
}
