import type {
  Alarm,
  DeleteResult,
  MemberInfo,
  MemberListResult,
  OperationResult,
  PutResult,
  RangeResult,
  StatusResult,
  TxnResult,
} from "../../store/client/results.ts";
import type { Header, KeyValue, WatchEvent } from "../../store/client/types.ts";
import { formatDuration } from "../go-text.ts";
import { agentJson } from "./agent-rows.ts";
import type { Format, FormatOptions } from "./format.ts";
import { goJson, type Json, omitEmpty } from "./go-json.ts";

type JsonObject = { readonly [name: string]: Json };

/** `json`: one line an answer, names and order of rpc.proto's Go types. */
export function jsonFormat(options: FormatOptions): Format {
  const write = (value: Json) => options.out(`${goJson(value)}\n`);
  return {
    get: (result) => write(rangeJson(result)),
    put: (result) => write(putJson(result)),
    del: (result) => write(deleteJson(result)),
    txn: (result) => write(txnJson(result)),
    watch: ({ header, events, compactRevision }) =>
      write({
        Header: headerJson(header),
        Events: compactRevision > 0 ? null : events.map(eventJson),
        CompactRevision: compactRevision,
        Canceled: compactRevision > 0,
        Created: false,
        CancelReason: "",
      }),
    grant: (result) =>
      write({ ...headerJson(result.header), ID: result.id, TTL: result.ttlSeconds, Error: "" }),
    revoke: (_, result) => write({ header: headerJson(result.header) }),
    keepAlive: (result) => write({ ...headerJson(result.header), ID: result.id, TTL: result.ttlSeconds }),
    timeToLive: (result) =>
      write({
        ...headerJson(result.header),
        id: result.id,
        ttl: result.ttlSeconds,
        "granted-ttl": result.grantedTtlSeconds,
        keys: result.keys.length === 0 ? null : result.keys,
      }),
    leases: (result) => write({ ...headerJson(result.header), leases: result.ids.map((id) => ({ id })) }),
    memberList: (result) => write(membersJson(result, options)),
    memberAdd: (result) => {
      const { header, members } = membersJson(result, options);
      write({ header, member: memberJson(result.member, options.hex), members });
    },
    memberChanged: (_, __, result) => write(membersJson(result, options)),
    // The answer has not even a header.
    moveLeader: () => write({}),
    alarms: ({ header, alarms }) =>
      write(
        omitEmpty({
          header: header === undefined ? undefined : headerJson(header),
          alarms: alarms.map(alarmJson),
        }),
      ),
    endpointHealth: (list) =>
      write(
        list.map((one) => ({
          endpoint: one.endpoint,
          health: one.healthy,
          took: formatDuration(one.tookMs),
          ...omitEmpty({ error: one.error }),
        })),
      ),
    endpointStatus: (list) =>
      write(
        listOrNull(list.map(({ endpoint, status }) => ({ Endpoint: endpoint, Status: statusJson(status) }))),
      ),
    endpointHash: (list) =>
      write(
        listOrNull(
          list.map(({ endpoint, hash }) => ({
            Endpoint: endpoint,
            HashKV: omitEmpty({
              header: headerJson(hash.header),
              hash: hash.hash,
              compact_revision: hash.compactRevision,
              hash_revision: hash.hashRevision,
            }),
          })),
        ),
      ),
    agents: (list) => write(list.map(agentJson)),
  };
}

/** Go writes a list that nothing was ever put into as null. */
function listOrNull(list: readonly Json[]): Json {
  return list.length === 0 ? null : list;
}

function headerJson(header: Header): JsonObject {
  return omitEmpty({
    cluster_id: header.clusterId,
    member_id: header.memberId,
    revision: header.revision,
    raft_term: header.raftTerm,
  });
}

function hexHeaderJson(header: Header): JsonObject {
  return {
    cluster_id: header.clusterId.toString(16),
    member_id: header.memberId.toString(16),
    ...omitEmpty({ revision: header.revision, raft_term: header.raftTerm }),
  };
}

function keyValueJson(kv: KeyValue): JsonObject {
  return omitEmpty({
    key: kv.key,
    create_revision: kv.createRevision,
    mod_revision: kv.modRevision,
    version: kv.version,
    value: kv.value,
    lease: kv.lease,
  });
}

function rangeJson(result: RangeResult): JsonObject {
  return omitEmpty({
    header: headerJson(result.header),
    kvs: result.kvs.map(keyValueJson),
    more: result.more,
    count: result.count,
  });
}

function putJson(result: PutResult): JsonObject {
  const { prevKv } = result;
  return omitEmpty({ header: headerJson(result.header), prev_kv: prevKv && keyValueJson(prevKv) });
}

function deleteJson(result: DeleteResult): JsonObject {
  return omitEmpty({
    header: headerJson(result.header),
    deleted: result.deleted,
    prev_kvs: result.prevKvs.map(keyValueJson),
  });
}

function txnJson(result: TxnResult): JsonObject {
  return omitEmpty({
    header: headerJson(result.header),
    succeeded: result.succeeded,
    responses: result.responses.map((response) => ({ Response: operationJson(response) })),
  });
}

function operationJson(result: OperationResult): Json {
  switch (result.kind) {
    case "range":
      return { response_range: rangeJson(result) };
    case "put":
      return { response_put: putJson(result) };
    case "delete":
      return { response_delete_range: deleteJson(result) };
    case "txn":
      return { response_txn: txnJson(result) };
    default:
      return result satisfies never;
  }
}

function eventJson(event: WatchEvent): Json {
  return omitEmpty({
    type: event.type === "delete" ? 1 : 0,
    kv: keyValueJson(event.kv),
    prev_kv: event.prevKv && keyValueJson(event.prevKv),
  });
}

function membersJson({ header, members }: MemberListResult, { hex }: FormatOptions) {
  return {
    header: hex ? hexHeaderJson(header) : headerJson(header),
    members: members.map((member) => memberJson(member, hex)),
  };
}

function memberJson(member: MemberInfo, hex: boolean): Json {
  const rest = omitEmpty({
    name: member.name,
    peerURLs: member.peerUrls,
    clientURLs: member.clientUrls,
    isLearner: member.isLearner,
  });
  return { ...(hex ? { ID: member.id.toString(16) } : omitEmpty({ ID: member.id })), ...rest };
}

const ALARM_NUMBER = { NONE: 0, NOSPACE: 1, CORRUPT: 2 } as const;

function alarmJson(alarm: Alarm): Json {
  return omitEmpty({ memberID: alarm.memberId, alarm: ALARM_NUMBER[alarm.type] });
}

function statusJson(status: StatusResult): Json {
  return omitEmpty({
    header: headerJson(status.header),
    version: status.version,
    dbSize: status.dbSize,
    leader: status.leader,
    raftIndex: status.raftIndex,
    raftTerm: status.raftTerm,
    raftAppliedIndex: status.raftAppliedIndex,
    errors: status.errors,
    dbSizeInUse: status.dbSizeInUse,
    isLearner: status.isLearner,
    storageVersion: status.storageVersion,
    dbSizeQuota: status.dbSizeQuota,
    downgradeInfo: status.downgrade && omitEmpty(status.downgrade),
  });
}
