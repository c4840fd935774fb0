/** A key or a value: text is sent as UTF-8. */
export type Bytes = string | Uint8Array;

/** Everything that waits can be given up: the promise then rejects with the signal's reason. */
export interface CallOptions {
  readonly signal: AbortSignal;
}

/** Which keys an operation is about; at most one of the three. None: the one key. */
export interface KeyRange {
  /** Every key that starts with the key; an empty key is a prefix of all. */
  readonly prefix?: boolean;
  /** Every key from the key on. */
  readonly fromKey?: boolean;
  /** [key, rangeEnd) */
  readonly rangeEnd?: Bytes;
}

export type SortTarget = "key" | "version" | "create" | "mod" | "value";

/** rpc.proto RangeRequest. */
export interface RangeOptions extends KeyRange {
  /** Keys at most; 0 or absent: all. */
  readonly limit?: number;
  /** Read as of this revision; absent: newest. */
  readonly revision?: number;
  readonly sortOrder?: "ascend" | "descend";
  readonly sortTarget?: SortTarget;
  /** Take the answer of whichever member is asked, perhaps stale, also when there is no leader. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

/** rpc.proto PutRequest. */
export interface PutOptions {
  /** 0n or absent: none, which also detaches the key from the lease it had. */
  readonly lease?: bigint;
  /** Answer with what was there. */
  readonly prevKv?: boolean;
  /** Keep the stored value; the given one must be empty. */
  readonly ignoreValue?: boolean;
  /** Keep the stored lease; none must be given. */
  readonly ignoreLease?: boolean;
}

/** rpc.proto DeleteRangeRequest. */
export interface DeleteOptions extends KeyRange {
  readonly prevKv?: boolean;
}

/** One test of a transaction, on each key of the range (rpc.proto Compare). */
export type Compare = {
  readonly key: Bytes;
  readonly rangeEnd?: Bytes;
  readonly result: "=" | "!=" | ">" | "<";
} & (
  | { readonly target: "version" | "create" | "mod"; readonly operand: number }
  | { readonly target: "value"; readonly operand: Bytes }
  | { readonly target: "lease"; readonly operand: bigint }
);

/** One operation of a transaction. */
export type Operation =
  | ({ readonly kind: "range"; readonly key: Bytes } & RangeOptions)
  | ({ readonly kind: "put"; readonly key: Bytes; readonly value: Bytes } & PutOptions)
  | ({ readonly kind: "delete"; readonly key: Bytes } & DeleteOptions)
  | ({ readonly kind: "txn" } & Transaction);

/** All of `compare` must hold (none at all holds) for `success` to run, otherwise `failure` runs. */
export interface Transaction {
  readonly compare?: readonly Compare[];
  readonly success?: readonly Operation[];
  readonly failure?: readonly Operation[];
}
