import type { Header, KeyValue } from "../../store/client/types.ts";
import { formatDuration, goQuote } from "../go-text.ts";
import { agentFields } from "./agent-rows.ts";
import { type Format, type FormatOptions, leaseHex } from "./format.ts";
import { writeResponse } from "./txn-responses.ts";

/** `fields`: a `"Name" : value` on each line. */
export function fieldsFormat({ out, hex }: FormatOptions): Format {
  const field = (name: string, value: unknown) => out(`"${name}" : ${String(value)}\n`);
  const text = (name: string, value: string | Uint8Array) => field(name, goQuote(Buffer.from(value)));
  const memberId = (id: bigint) => (hex ? id.toString(16) : id);
  const leaseId = (id: bigint) => (hex ? leaseHex(id) : id);
  const head = (header: Header) => {
    field("ClusterID", memberId(header.clusterId));
    field("MemberID", memberId(header.memberId));
    if (header.revision > 0) field("Revision", header.revision);
    field("RaftTerm", header.raftTerm);
  };
  const keyValue = (prefix: string, kv: KeyValue) => {
    text(`${prefix}Key`, kv.key);
    field(`${prefix}CreateRevision`, kv.createRevision);
    field(`${prefix}ModRevision`, kv.modRevision);
    field(`${prefix}Version`, kv.version);
    text(`${prefix}Value`, kv.value);
    field(`${prefix}Lease`, leaseId(kv.lease));
  };
  const format: Format = {
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
      for (const response of result.responses) writeResponse(format, response);
    },
    watch: (answer) => {
      head(answer.header);
      for (const event of answer.events) {
        field("Type", event.type === "delete" ? "DELETE" : "PUT");
        if (event.prevKv !== undefined) keyValue("Prev", event.prevKv);
        keyValue("", event.kv);
      }
    },
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
    memberList: (result) => {
      head(result.header);
      for (const member of result.members) {
        field("ID", memberId(member.id));
        text("Name", member.name);
        for (const url of member.peerUrls) text("PeerURL", url);
        for (const url of member.clientUrls) text("ClientURL", url);
        field("IsLearner", member.isLearner);
        out("\n");
      }
    },
    alarms: (result) => {
      head(result.header);
      for (const alarm of result.alarms) {
        field("MemberID", memberId(alarm.memberId));
        field("AlarmType", alarm.type);
        out("\n");
      }
    },
    endpointHealth: (list) => {
      for (const one of list) {
        text("Endpoint", one.endpoint);
        field("Health", one.healthy);
        field("Took", formatDuration(one.tookMs));
        field("Error", one.error);
        out("\n");
      }
    },
    endpointStatus: (list) => {
      for (const { endpoint, status } of list) {
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
        out("\n");
      }
    },
    endpointHash: (list) => {
      for (const { endpoint, hash } of list) {
        head(hash.header);
        text("Endpoint", endpoint);
        field("Hash", hash.hash);
        field("HashRevision", hash.hashRevision);
        out("\n");
      }
    },
    agents: (list) => {
      for (const agent of list) {
        for (const [name, value] of agentFields(agent)) {
          if (typeof value === "string") text(name, value);
          else field(name, value);
        }
        out("\n");
      }
    },
  };
  return format;
}
