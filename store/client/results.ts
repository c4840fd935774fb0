import type { Header, KeyValue } from "./types.ts";

export interface GetResult {
  readonly header: Header;
  /** Undefined: there is no such key at the header's revision. */
  readonly kv: KeyValue | undefined;
}

export interface RangeResult {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  /** The limit cut the answer. */
  readonly more: boolean;
  /** Keys in the range, whatever the limit left out. */
  readonly count: number;
}

export interface PutResult {
  readonly header: Header;
  readonly prevKv: KeyValue | undefined;
}

export interface DeleteResult {
  readonly header: Header;
  /** Keys. */
  readonly deleted: number;
  readonly prevKvs: readonly KeyValue[];
}

/** The answer to one operation of a transaction; inside of one, headers hold the revision alone. */
export type OperationResult =
  | ({ readonly kind: "range" } & RangeResult)
  | ({ readonly kind: "put" } & PutResult)
  | ({ readonly kind: "delete" } & DeleteResult)
  | ({ readonly kind: "txn" } & TxnResult);

export interface TxnResult {
  readonly header: Header;
  /** Which branch ran. */
  readonly succeeded: boolean;
  /** One for each operation of that branch, in order. */
  readonly responses: readonly OperationResult[];
}

export interface CompactResult {
  readonly header: Header;
}

export interface LeaseGrantResult {
  readonly header: Header;
  readonly id: bigint;
  readonly ttlSeconds: number;
}

export interface LeaseRevokeResult {
  readonly header: Header;
}

export interface LeaseKeepAliveResult {
  readonly header: Header;
  readonly id: bigint;
  /** 0: there is no such lease (any more). */
  readonly ttlSeconds: number;
}

export interface LeaseTimeToLiveResult {
  readonly header: Header;
  readonly id: bigint;
  /** Seconds left; -1: there is no such lease. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  /** Asked for with `keys`. */
  readonly keys: readonly Buffer[];
}

export interface LeasesResult {
  readonly header: Header;
  readonly ids: readonly bigint[];
}

export interface MemberInfo {
  readonly id: bigint;
  /** Empty: it has not started yet. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberListResult {
  readonly header: Header;
  readonly members: readonly MemberInfo[];
}

export interface MemberAddResult extends MemberListResult {
  readonly member: MemberInfo;
}

/** rpc.proto StatusResponse; sizes in bytes. */
export interface StatusResult {
  readonly header: Header;
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  readonly dbSizeQuota: number;
  /** Member id; 0n: none is known. */
  readonly leader: bigint;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly isLearner: boolean;
  readonly storageVersion: string;
  readonly downgrade: { readonly enabled: boolean; readonly targetVersion: string } | undefined;
}

export interface Alarm {
  readonly memberId: bigint;
  readonly type: "NONE" | "NOSPACE" | "CORRUPT";
}

export interface AlarmsResult {
  readonly header: Header;
  readonly alarms: readonly Alarm[];
}

export interface HashKvResult {
  readonly header: Header;
  /** Unsigned, 32 bits. */
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}
