/**
 * The key-value file under the store, as a synchronous port. Keys and values are bytes; keys compare bytewise. Buckets
 * have etcd's names. Writes are seen by reads at once and become durable, all together, in `commit()`: the applied
 * index is written in the same commit as the data, so that a crash never separates them.
 */
export type Bucket = (typeof BUCKETS)[number];

/** In the order of their names in etcd's schema; a new one changes the file format. */
export const BUCKETS = ["key", "meta", "lease", "alarm", "members", "members_removed", "auth"] as const;

export interface Backend {
  /** The value, owned by the backend and not to be written to; undefined when absent. */
  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined;
  /**
   * Pairs with `from` <= key < `to` in order; `to` undefined: to the end of the bucket. At most `limit` (0: all). To be
   * walked in the same turn of the event loop, and without writing to the bucket meanwhile.
   */
  range(bucket: Bucket, from: Uint8Array, to: Uint8Array | undefined, limit: number): Iterable<BackendPair>;
  /** `value` is the backend's from then on; `key` is copied. */
  put(bucket: Bucket, key: Uint8Array, value: Uint8Array): void;
  delete(bucket: Bucket, key: Uint8Array): void;
  /**
   * Makes every write so far durable; resolves when it is. Writes made meanwhile belong to the next commit. A rejection is
   * final: what is in the file is the last commit that resolved, or this one; the process has to end.
   */
  commit(): Promise<void>;
  /** Bytes written of which no commit has resolved: {@link size} does not know them. */
  readonly pendingBytes: number;
  /** Size of the file, and the part of it in use, in bytes. */
  size(): { readonly totalBytes: number; readonly inUseBytes: number };
  /**
   * A consistent copy of what is committed, into a new file; compact, and not synced: it is there to be read, or sent.
   * Neither reads nor commits wait for it. Throws CodedError EEXIST when there is a file.
   */
  copy(path: string): Promise<void>;
  /**
   * Opens a file that `copy` made (here or on another member) as a backend of its own, which is closed before the file is
   * moved or installed. Throws CodedError ENOENT, EFORMAT.
   */
  openCopy(path: string): Promise<Backend>;
  /**
   * Puts a file that `copy` made in the place of the whole content, durably: after a crash there is the one or the other.
   * The file is synced, and is gone from `path` afterwards. Commits and copies under way are waited for; what was written
   * since the last commit is forgotten. Until it resolves only `size` and `pendingBytes` may be asked for. A rejection is
   * final: the process has to end.
   */
  install(path: string): Promise<void>;
  /** Waits for commits and copies under way, and closes; what no commit has taken is forgotten. Idempotent. */
  close(): Promise<void>;
}

export interface BackendPair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}
