import { CodedError } from "../../base/errors.ts";
import type { Change } from "../mvcc/types.ts";
import type { Watcher, WatchHub, WatchOutlet, WatchSpec } from "./types.ts";
import type { WatchHistory } from "./watch-history.ts";

/** Being written: the signatures hold. */
export class MvccWatchHub implements WatchHub {
  readonly counts = { synced: 0, unsynced: 0, slow: 0 };

  /** `history` is at the revision from which on notify() tells. */
  constructor(history: WatchHistory) {
    throw new CodedError("EUNFINISHED", `Cannot watch from revision ${history.revision}`);
  }

  /** Told by apply of every write transaction that changed something, after it ended: its revision and its changes. */
  notify(revision: number, changes: readonly Change[]): void {
    throw new CodedError("EUNFINISHED", `Cannot tell ${changes.length} changes of revision ${revision}`);
  }

  watch(spec: WatchSpec, _outlet: WatchOutlet): Watcher {
    throw new CodedError("EUNFINISHED", `Cannot watch from revision ${spec.startRevision}`);
  }

  catchUpStep(): boolean {
    return false;
  }
}
