/** Which keys belong to which lease, as MVCC keeps it up to date: each put and delete may change it. */
export interface LeaseBindings {
  /** The lease of a key (a latin1 string); 0n: none. */
  leaseOf(key: string): bigint;
  attach(id: bigint, key: string): void;
  detach(id: bigint, key: string): void;
}

/** One change of one key, as a write transaction made it or the backend tells it again. */
export interface Change {
  /** latin1. */
  readonly key: string;
  /** Main revision. */
  readonly revision: number;
  readonly kind: "create" | "update" | "delete";
  /** The stored record: a marshalled KeyValue; of a deletion with the key alone. Shared, never written to. */
  readonly record: Uint8Array;
}
