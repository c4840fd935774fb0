import type { Change } from "../mvcc/types.ts";

/**
 * Watch without a transport: the hub is told of each revision as it is applied and gives each watcher its events in
 * order, each once, none missed, whole revisions only. It never waits for a watcher: one whose outlet is full is set
 * aside ("slow") and catches up from history when its outlet says so (etcd "victim" watchers).
 */
export interface WatchSpec {
  readonly key: Uint8Array;
  /** etcd's convention: empty: one key; a single zero byte: everything from `key` on; otherwise exclusive end. */
  readonly rangeEnd: Uint8Array;
  /** First revision wanted; 0: from now on. Below the compacted revision: the watcher is told "compacted" and ended. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

/** The events of one revision that match a watcher, marshalled once and shared by all watchers that want the same. */
export interface EventBatch {
  readonly revision: number;
  /** Marshalled `mvccpb.Event` each, shared, never written to. */
  readonly events: readonly Uint8Array[];
}

export type WatchOutput =
  | { readonly kind: "events"; readonly batches: readonly EventBatch[] }
  /** Every event up to `revision` has been given. */
  | { readonly kind: "progress"; readonly revision: number }
  | { readonly kind: "compacted"; readonly compactRevision: number };

/** Where a watcher's output goes. */
export interface WatchOutlet {
  /** Takes the output and returns true, or takes nothing and returns false when its buffer is full. Never throws. */
  offer(output: WatchOutput): boolean;
}

export interface Watcher {
  /** The outlet has room again: a watcher that was set aside goes on. */
  resume(): void;
  /** True when every event up to the store's revision has been given: progress may be told. */
  readonly synced: boolean;
  /** Offers "progress" at the store's revision; false, and nothing is offered, when not synced or the outlet is full. */
  tellProgress(): boolean;
  /** Idempotent; nothing is offered after it. */
  cancel(): void;
}

export interface WatchHub {
  watch(spec: WatchSpec, outlet: WatchOutlet): Watcher;
  /** Moves unsynced watchers forward from history by a bounded amount; true while there is more to do. */
  catchUpStep(): boolean;
  /**
   * Told when there is work for `catchUpStep` that no call of a watcher made: history was replaced by a snapshot. One
   * listener, which does the work later.
   */
  onBehind(listener: () => void): void;
  readonly counts: { readonly synced: number; readonly unsynced: number; readonly slow: number };
}

/** What the hub needs of MVCC. */
export interface History {
  readonly revision: number;
  /** -1: nothing is compacted. */
  readonly compactRevision: number;
  /** A key's marshalled KeyValue at a revision; undefined when it did not exist then, or that is compacted. */
  recordAt(key: string, revision: number): Uint8Array | undefined;
  /**
   * The changes from revision `from` on, up to and with revision `through`: whole revisions, at least one where there is
   * one, and no further one begun above the limits. `from` is not compacted; in steps, during which it is not.
   */
  history(
    from: number,
    limits: { readonly changesMax: number; readonly bytesMax: number },
  ): Generator<undefined, { readonly changes: readonly Change[]; readonly through: number }>;
}
