import type { MemberListResult } from "../../store/client/results.ts";
import { formatBytes, formatDuration } from "../go-text.ts";
import type { EndpointHash, EndpointHealth, EndpointStatus } from "./format.ts";

/** A table: what `table` draws and `simple` joins with commas. */
export interface Rows {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function memberRows(result: MemberListResult): Rows {
  return {
    header: ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"],
    rows: result.members.map((member) => [
      member.id.toString(16),
      member.name === "" ? "unstarted" : "started",
      member.name,
      member.peerUrls.join(","),
      member.clientUrls.join(","),
      String(member.isLearner),
    ]),
  };
}

export function healthRows(list: readonly EndpointHealth[]): Rows {
  return {
    header: ["endpoint", "health", "took", "error"],
    rows: list.map((one) => [one.endpoint, String(one.healthy), formatDuration(one.tookMs), one.error]),
  };
}

export function statusRows(list: readonly EndpointStatus[]): Rows {
  return {
    header: [
      "endpoint",
      "ID",
      "version",
      "storage version",
      "db size",
      "in use",
      "percentage not in use",
      "quota",
      "is leader",
      "is learner",
      "raft term",
      "raft index",
      "raft applied index",
      "errors",
      "downgrade target version",
      "downgrade enabled",
    ],
    rows: list.map(statusRow),
  };
}

export function hashRows(list: readonly EndpointHash[]): Rows {
  return {
    header: ["endpoint", "hash", "hash_revision"],
    rows: list.map(({ endpoint, hash }) => [endpoint, String(hash.hash), String(hash.hashRevision)]),
  };
}

function statusRow({ endpoint, status }: EndpointStatus): string[] {
  const inUsePercent = status.dbSize === 0 ? 0 : Math.floor((status.dbSizeInUse * 100) / status.dbSize);
  return [
    endpoint,
    status.header.memberId.toString(16),
    status.version,
    status.storageVersion,
    formatBytes(status.dbSize),
    formatBytes(status.dbSizeInUse),
    `${100 - inUsePercent}%`,
    formatBytes(status.dbSizeQuota),
    String(status.leader === status.header.memberId),
    String(status.isLearner),
    String(status.raftTerm),
    String(status.raftIndex),
    String(status.raftAppliedIndex),
    status.errors.join(", "),
    status.downgrade?.targetVersion ?? "",
    String(status.downgrade?.enabled ?? false),
  ];
}
