import { formatDuration } from "../go-text.ts";
import { agentFields } from "./agent-rows.ts";
import { type FieldsWriter, fieldsWriter } from "./fields-writer.ts";
import type { EndpointHash, EndpointStatus, Format, FormatOptions } from "./format.ts";
import { writeResponse } from "./txn-responses.ts";

type KeyFormat = Pick<Format, "get" | "put" | "del" | "txn" | "watch">;
type LeaseFormat = Pick<Format, "grant" | "revoke" | "keepAlive" | "timeToLive" | "leases">;

/** Changes of the members have no form in etcdctl's either. */
type FieldsFormat = Omit<Format, "memberAdd" | "memberChanged" | "moveLeader">;

/** `fields`: a `"Name" : value` on each line. */
export function fieldsFormat(options: FormatOptions): FieldsFormat {
  const writer = fieldsWriter(options);
  const { field, text, head, gap, memberId } = writer;
  const format: FieldsFormat = {
    ...keyFields(writer, () => format),
    ...leaseFields(writer),
    memberList: (result) => {
      head(result.header);
      for (const member of result.members) {
        field("ID", memberId(member.id));
        text("Name", member.name);
        for (const url of member.peerUrls) text("PeerURL", url);
        for (const url of member.clientUrls) text("ClientURL", url);
        field("IsLearner", member.isLearner);
        gap();
      }
    },
    alarms: (result) => {
      if (result.header !== undefined) head(result.header);
      for (const alarm of result.alarms) {
        field("MemberID", memberId(alarm.memberId));
        field("AlarmType", alarm.type);
        gap();
      }
    },
    endpointHealth: (list) => {
      for (const one of list) {
        text("Endpoint", one.endpoint);
        field("Health", one.healthy);
        field("Took", formatDuration(one.tookMs));
        field("Error", one.error);
        gap();
      }
    },
    endpointStatus: (list) => {
      for (const one of list) writeStatus(writer, one);
    },
    endpointHash: (list) => {
      for (const one of list) writeHash(writer, one);
    },
    agents: (list) => {
      for (const agent of list) {
        for (const [name, value] of agentFields(agent)) {
          if (typeof value === "string") text(name, value);
          else field(name, value);
        }
        gap();
      }
    },
  };
  return format;
}

/** `format`: the one that the answers of a transaction are written with. */
function keyFields({ field, head, keyValue }: FieldsWriter, format: () => KeyFormat): KeyFormat {
  return {
    get: (result) => {
      head(result.header);
      for (const kv of result.kvs) keyValue("", kv);
      field("More", result.more);
      field("Count", result.count);
    },
    put: (result) => {
      head(result.header);
      if (result.prevKv !== undefined) keyValue("Prev", result.prevKv);
    },
    del: (result) => {
      head(result.header);
      field("Deleted", result.deleted);
      for (const kv of result.prevKvs) keyValue("Prev", kv);
    },
    txn: (result) => {
      head(result.header);
      field("Succeeded", result.succeeded);
      for (const response of result.responses) writeResponse(format(), response);
    },
    watch: (answer) => {
      head(answer.header);
      for (const event of answer.events) {
        field("Type", event.type === "delete" ? "DELETE" : "PUT");
        if (event.prevKv !== undefined) keyValue("Prev", event.prevKv);
        keyValue("", event.kv);
      }
    },
  };
}

function leaseFields({ field, text, head, leaseId }: FieldsWriter): LeaseFormat {
  return {
    grant: (result) => {
      head(result.header);
      field("ID", leaseId(result.id));
      field("TTL", result.ttlSeconds);
    },
    revoke: (_, result) => head(result.header),
    keepAlive: (result) => {
      head(result.header);
      field("ID", leaseId(result.id));
      field("TTL", result.ttlSeconds);
    },
    timeToLive: (result) => {
      head(result.header);
      field("ID", leaseId(result.id));
      field("TTL", result.ttlSeconds);
      field("GrantedTTL", result.grantedTtlSeconds);
      for (const key of result.keys) text("Key", key);
    },
    leases: (result) => {
      head(result.header);
      for (const id of result.ids) field("ID", leaseId(id));
    },
  };
}

function writeStatus({ field, text, head, gap }: FieldsWriter, { endpoint, status }: EndpointStatus): void {
  head(status.header);
  text("Version", status.version);
  text("StorageVersion", status.storageVersion);
  field("DBSize", status.dbSize);
  field("DBSizeInUse", status.dbSizeInUse);
  field("DBSizeQuota", status.dbSizeQuota);
  field("Leader", status.leader);
  field("IsLearner", status.isLearner);
  field("RaftIndex", status.raftIndex);
  field("RaftAppliedIndex", status.raftAppliedIndex);
  field("Errors", `[${status.errors.join(" ")}]`);
  text("Endpoint", endpoint);
  text("DowngradeTargetVersion", status.downgrade?.targetVersion ?? "");
  field("DowngradeEnabled", status.downgrade?.enabled ?? false);
  gap();
}

function writeHash({ field, text, head, gap }: FieldsWriter, { endpoint, hash }: EndpointHash): void {
  head(hash.header);
  text("Endpoint", endpoint);
  field("Hash", hash.hash);
  field("HashRevision", hash.hashRevision);
  gap();
}
