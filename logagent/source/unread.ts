import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { FINGERPRINT_BYTES, hashBefore, longerHead } from "./file-hash.ts";
import { readFailed } from "./read-trouble.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** An open file, as far as it goes now. */
interface Seen {
  readonly fd: number;
  readonly size: number;
}

/**
 * Enters what is seen of a file, with its head, which grows with it: it may wait long for its turn, and of content that replaces
 * it unread only the head tells. False: its head is another by now. Throws what `read` throws.
 */
export function noteSeen(
  { fd, size }: Seen,
  record: CheckpointRecord,
  checkpoints: CheckpointStore,
): boolean {
  const headBytes = Math.min(size, FINGERPRINT_BYTES);
  if (headBytes > record.fingerprint.length) {
    const head = longerHead(fd, record.fingerprint, headBytes);
    if (head === undefined) return false;
    checkpoints.setFingerprint(record, head);
  }
  checkpoints.saw(record, size);
  return true;
}

/** As {@link noteSeen}, and enters by what the unread rest of a file is known later. */
export function noteUnread(file: Seen, record: CheckpointRecord, checkpoints: CheckpointStore): boolean {
  if (!noteSeen(file, record, checkpoints)) return false;
  noteEnd(file, record, checkpoints);
  return true;
}

/** Of a held file that has to wait: what is there now is told from what may replace it unread. */
export function rememberUnread(file: TailedFile, context: SourceContext): void {
  const { record } = file.next?.content ?? file;
  try {
    noteEnd(file, record, context.deps.checkpoints);
  } catch (error) {
    readFailed(file, error, context);
  }
}

function noteEnd({ fd, size }: Seen, record: CheckpointRecord, checkpoints: CheckpointStore): void {
  if (size > (record.furthest?.to ?? 0)) checkpoints.reached(record, size, hashBefore(fd, size));
}
