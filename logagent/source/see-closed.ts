import { closeSync, fstatSync } from "node:fs";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { holdsFurthest, holdsShipped } from "./file-hash.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";
import { noteUnread } from "./unread.ts";

/**
 * Looks at a file that is closed, as one that is held is looked at while it waits: what there is now is told from what may
 * replace it unread. "unknown": it could not be looked at, or nobody knows what the record says.
 */
export function seeClosed(
  path: string,
  record: CheckpointRecord,
  context: SourceContext,
): "same" | "replaced" | "unknown" {
  const { checkpoints } = context.deps;
  if (record.isUnsure === true) return "unknown";
  const opened = openLogFile(path, context.openLimits);
  if (opened.kind !== "open") return "unknown";
  const { fd } = opened;
  try {
    const { ino, birthtimeNs } = opened.stats;
    if (ino !== record.ino || birthtimeNs !== record.birthtimeNs) return "unknown";
    const { size } = fstatSync(fd);
    if (size < record.seen || !holdsShipped(fd, record) || !holdsFurthest(fd, record)) return "replaced";
    return noteUnread({ fd, size }, record, checkpoints) ? "same" : "replaced";
  } catch {
    // It is read again when it has its turn, and why it cannot be read is said then.
    return "unknown";
  } finally {
    closeSync(fd);
  }
}
