import { CodedError } from "../../base/errors.ts";
import { readLogId, writeLogId } from "../backend/log-id.ts";
import type { Backend } from "../backend/port.ts";
import type { WalStart } from "../wal/open-log.ts";
import type { ReadSnapshotMeta, SnapshotFolder } from "./snapshot-folder.ts";

/**
 * Before anything is read from the backend at a start: when the log begins behind a snapshot that the backend has not taken
 * over, a crash came between the two, and the snapshot is installed now. Then what was received and is of no use is
 * removed. `walStart`: undefined when there is no log. Throws CodedError ESNAPSHOT when the snapshot is not there.
 */
export async function recoverSnapshot(parts: {
  readonly snapshots: SnapshotFolder;
  readonly walStart: Pick<WalStart, "after" | "logId"> | undefined;
  readonly backend: Backend;
  readonly readMeta: ReadSnapshotMeta;
}): Promise<void> {
  const { snapshots, walStart, backend, readMeta } = parts;
  if (walStart !== undefined && isOfLog(backend, walStart)) {
    const applied = readMeta(backend);
    const { after, logId } = walStart;
    if (applied.index < after.index) {
      const path = snapshots.find(after);
      if (path === undefined) {
        throw new CodedError(
          "ESNAPSHOT",
          `Cannot open the store: the log begins behind entry ${after.index} of term ${after.term}, the backend has ` +
            `applied entry ${applied.index}, and there is no snapshot up to that entry`,
        );
      }
      await backend.install(path);
      writeLogId(backend, logId);
    }
  }
  await snapshots.removeUpTo(Number.POSITIVE_INFINITY);
}

/** Beside another's log nothing is done: opening the log tells of it. */
function isOfLog(backend: Backend, { logId }: Pick<WalStart, "logId">): boolean {
  const own = readLogId(backend);
  return own === undefined || own === logId;
}
