import { closeSync, fstatSync } from "node:fs";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { FINGERPRINT_BYTES, hashBefore, holdsFurthest, holdsShipped, longerHead } from "./file-hash.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";

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
  if (checkpoints.isUnsure(record)) return "unknown";
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

/** Enters by what the unread rest of a file is known later. False: its head is another by now. Throws what `read` throws. */
export function noteUnread(
  { fd, size }: { readonly fd: number; readonly size: number },
  record: CheckpointRecord,
  checkpoints: CheckpointStore,
): boolean {
  const headBytes = Math.min(size, FINGERPRINT_BYTES);
  if (headBytes > record.fingerprint.length) {
    const head = longerHead(fd, record.fingerprint, headBytes);
    if (head === undefined) return false;
    checkpoints.setFingerprint(record, head);
  }
  checkpoints.reached(record, size, hashBefore(fd, size));
  checkpoints.saw(record, size);
  return true;
}
