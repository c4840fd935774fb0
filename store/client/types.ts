import type { StoreErrorCode } from "../proto/errors.ts";

/** A key with its metadata (kv.proto KeyValue). Buffers belong to the caller. */
export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** 0n: none. */
  readonly lease: bigint;
}

/** Who answered, and at which revision the store was then (rpc.proto ResponseHeader). Ids are unsigned. */
export interface Header {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

export interface WatchEvent {
  readonly type: "put" | "delete";
  /** For a delete: the key and the revision of the deletion. */
  readonly kv: KeyValue;
  /** Present when asked for and not compacted. */
  readonly prevKv: KeyValue | undefined;
}

/**
 * What a watch yields. `events` come in whole revisions, in order, each once, also across broken streams and other
 * endpoints; `revision` is the last one in them. `created` comes first, once. `progress`: everything up to `revision` has
 * been delivered. `compacted` ends the watch: what lies between the last revision seen and `compactRevision` can't be had
 * as events; read the key again and watch from the revision read + 1. It is also what a watch says when it meets a store
 * whose history is not the one it followed (a restored backup, another cluster at the same address).
 */
export type WatchItem =
  | { readonly kind: "created"; readonly revision: number; readonly header: Header }
  | {
      readonly kind: "events";
      readonly revision: number;
      readonly events: readonly WatchEvent[];
      readonly header: Header;
    }
  | { readonly kind: "progress"; readonly revision: number; readonly header: Header }
  | { readonly kind: "compacted"; readonly compactRevision: number; readonly header: Header };

export interface WatchOptions {
  readonly key: string | Uint8Array;
  readonly prefix?: boolean;
  readonly rangeEnd?: Uint8Array;
  /** Absent: from now. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  readonly filters?: readonly ("noput" | "nodelete")[];
  readonly progressNotify?: boolean;
  readonly signal: AbortSignal;
}

/** Why a call to the store failed: what the store answered, or why there is no answer. */
export type ClientErrorCode =
  | StoreErrorCode
  | "Unreachable" // no endpoint answered within the deadline
  | "DeadlineExceeded" // a request left, and no answer came in time
  | "Unauthenticated"
  | "Rejected"; // any other status of the server

/** State of the connection to the store, for logs and status; told on change only. */
export type ConnectionState =
  | { readonly kind: "connected"; readonly endpoint: string }
  | {
      readonly kind: "disconnected";
      readonly endpoint: string;
      readonly reason: string;
      readonly retryInMs: number;
    };
