import type { LossReason } from "../checkpoint/loss.ts";
import type { BytesHash, CheckpointRecord } from "../checkpoint/record.ts";
import { NO_BYTES } from "../checkpoint/record.ts";
import { holdsFurthest, holdsShipped } from "./file-hash.ts";
import { newLedger } from "./open-tailed-file.ts";
import { mintSuccessor } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";
import type { Look, TailedFile } from "./tailed-file.ts";
import { noteSeen } from "./unread.ts";

/** What the agent believes is in a file now: the content it ships, or one that has taken its place meanwhile. */
interface OnDisk {
  readonly record: CheckpointRecord;
  readonly offset: number;
  readonly tail: BytesHash;
  /** As far as this it is being sent, or may have been by an earlier life. */
  readonly sentTo: number;
}

/**
 * After a look: is what was read before still there? If not, the file gets a new content, as by `replaceContent`. Bytes that were
 * seen and cut off unread are entered as lost. Throws what `read` throws.
 */
export function followContent(file: TailedFile, look: Look, context: SourceContext): void {
  const change = contentChange(file, look, context);
  if (change !== undefined) replaceContent(file, change, context);
}

/** The reason why it is not. */
function contentChange(file: TailedFile, look: Look, context: SourceContext): LossReason | undefined {
  const onDisk = onDiskOf(file);
  const { record, offset, tail, sentTo } = onDisk;
  const { checkpoints } = context.deps;
  if (file.size < Math.max(offset, sentTo)) return "truncated below what was read";
  // A read may have seen more than the look before it.
  const hasShrunk = file.size < Math.max(look.sizeBefore, record.seen);
  if (look.touched && !holdsUnread(file, onDisk)) return "rewritten in place";
  if (look.touched) {
    // Also of a file that a read is about to ask: what has grown is only then of this content.
    if (!holdsShipped(file.fd, { fingerprint: record.fingerprint, offset, tail })) {
      return "rewritten in place";
    }
    // The unfinished line at the end may have been completed in place.
    if (file.next === undefined && !file.hasUnread) file.readTo = Math.min(file.readTo, offset);
  }
  if (hasShrunk) {
    checkpoints.saw(record, look.sizeBefore);
    context.shortened(record, file.size, onDisk);
    return undefined;
  }
  try {
    return noteSeen(file, record, checkpoints) ? undefined : "rewritten in place";
  } catch (error) {
    // Though its head cannot be read: it is of this content, as far as anybody can tell.
    checkpoints.saw(record, file.size);
    throw error;
  }
}

/**
 * Gives a file whose content was replaced a new one, under a new id. What can be read no more of the old one is lost from now
 * on. While lines of it are being delivered, the new one waits in `file.next`; call `takeNext` when that is over.
 */
export function replaceContent(file: TailedFile, reason: LossReason, context: SourceContext): void {
  const { checkpoints } = context.deps;
  // First, for it reads.
  const record = mintSuccessor(file.record, { fd: file.fd, identity: file }, context);
  if (file.next === undefined) context.lostRest(file.record, deliverableTo(file), reason);
  else {
    const { record: before } = file.next.content;
    context.lostRest(before, 0, reason);
    checkpoints.remove(before);
  }
  const content = newLedger(record, context);
  file.next = { content, reason: file.next?.reason ?? reason };
  file.size = content.record.seen;
  file.nextLookMs = 0;
}

/** Leaves the old content for the one that took its place, if there is one; acknowledgements of the old one may still come. */
export function takeNext(file: TailedFile, context: SourceContext): void {
  if (file.next === undefined) return;
  context.lostUndelivered(file.record, file.offset, file.next.reason);
  context.unsettled.keep(file);
  file.startOver(file.next.content, context.deps.clock.monotonicMs());
}

/** Of what a file had before it was replaced, the bytes up to here need no read any more. */
function deliverableTo({ content, chunkTo = 0 }: TailedFile): number {
  return Math.max(content.sentTo, chunkTo);
}

/** Is that still there which was seen of a file that waits to be read? */
function holdsUnread(file: TailedFile, { record, offset }: OnDisk): boolean {
  const { furthest } = record;
  // A file that has become shorter is another matter: what it still has may be as it was.
  if (furthest === undefined || furthest.to <= offset || furthest.to > file.size) return true;
  return holdsFurthest(file.fd, record);
}

function onDiskOf(file: TailedFile): OnDisk {
  if (file.next !== undefined) {
    return { record: file.next.content.record, offset: 0, tail: NO_BYTES, sentTo: 0 };
  }
  return { record: file.record, offset: file.offset, tail: file.tail, sentTo: file.sentTo };
}
