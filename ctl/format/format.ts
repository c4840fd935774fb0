import type {
  AlarmsResult,
  DeleteResult,
  HashKvResult,
  LeaseGrantResult,
  LeaseKeepAliveResult,
  LeaseRevokeResult,
  LeasesResult,
  LeaseTimeToLiveResult,
  MemberAddResult,
  MemberListResult,
  PutResult,
  RangeResult,
  StatusResult,
  TxnResult,
} from "../../store/client/results.ts";
import type { Header, WatchEvent } from "../../store/client/types.ts";
import type { AgentReport } from "../fleet/report.ts";

/** One answer of a watch. */
export interface WatchAnswer {
  readonly header: Header;
  readonly events: readonly WatchEvent[];
  /** Not 0: the store ended the watch, the oldest revision it keeps is this. */
  readonly compactRevision: number;
}

export interface EndpointHealth {
  readonly endpoint: string;
  readonly healthy: boolean;
  readonly tookMs: number;
  /** Empty: none. */
  readonly error: string;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: StatusResult;
}

export interface EndpointHash {
  readonly endpoint: string;
  readonly hash: HashKvResult;
}

/** What was done to a member, in etcdctl's words. */
export type MemberChanged = "removed from" | "updated in" | "promoted in";

/** One way to write results, byte for byte as etcdctl does where it has the verb. */
export interface Format {
  get(result: RangeResult, options: { readonly valueOnly: boolean }): void;
  put(result: PutResult): void;
  del(result: DeleteResult): void;
  txn(result: TxnResult): void;
  watch(answer: WatchAnswer): void;
  grant(result: LeaseGrantResult): void;
  revoke(id: bigint, result: LeaseRevokeResult): void;
  keepAlive(result: LeaseKeepAliveResult): void;
  timeToLive(result: LeaseTimeToLiveResult, options: { readonly keys: boolean }): void;
  leases(result: LeasesResult): void;
  memberList(result: MemberListResult): void;
  /** `name`: what the new member is to be called. */
  memberAdd(result: MemberAddResult, options: { readonly name: string; readonly peerUrls: string }): void;
  memberChanged(change: MemberChanged, id: bigint, result: MemberListResult): void;
  moveLeader(leaders: { readonly from: bigint; readonly to: bigint }): void;
  /** Without a header: of several answers. */
  alarms(result: Pick<AlarmsResult, "alarms"> & Partial<AlarmsResult>): void;
  endpointHealth(list: readonly EndpointHealth[]): void;
  endpointStatus(list: readonly EndpointStatus[]): void;
  endpointHash(list: readonly EndpointHash[]): void;
  agents(list: readonly AgentReport[]): void;
}

export interface FormatOptions {
  readonly out: (chunk: string | Uint8Array) => void;
  /** Ids (and, in `simple`, keys and values) in hexadecimal. */
  readonly hex: boolean;
  /** Tables for a screen: long cells are cut. */
  readonly isTerminal: boolean;
}

/** A lease id as people write it: 16 hexadecimal digits. */
export function leaseHex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}
