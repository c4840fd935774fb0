import type { Change } from "../mvcc/types.ts";

/** What the hub reads of the past, all in one turn of the event loop; MvccStore is one. */
export interface WatchHistory {
  /** Of the last write transaction. */
  readonly revision: number;
  /** Of the last compaction that was decided; -1: none. */
  readonly compactRevision: number;
  /** Changes from `from` on, whole revisions and about `changesMax`, complete up to and with `through`. */
  history(
    from: number,
    changesMax: number,
  ): { readonly changes: readonly Change[]; readonly through: number };
  /** The marshalled KeyValue of a key (latin1) at a revision; undefined: there was none, or it is compacted. */
  recordAt(key: string, revision: number): Uint8Array | undefined;
}
