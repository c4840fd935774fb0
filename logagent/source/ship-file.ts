import { read, readSync } from "node:fs";
import { untilAborted } from "../../base/until-aborted.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { findLines, NEWLINE_BYTES_MAX } from "../framing/find-lines.ts";
import type { LineSpans } from "../framing/types.ts";
import { type Chunk, LARGE_CHUNK_BYTES, SMALL_CHUNK_BYTES } from "./chunk-pool.ts";
import { FINGERPRINT_BYTES, hashOf, isSameBytes, TAIL_BYTES } from "./file-hash.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

export interface ShipOptions {
  readonly signal: AbortSignal;
  /** The file is complete: a last line without a newline is shipped as it is. */
  readonly final: boolean;
}

/** Why shipping ended. */
export type ShipEnd =
  | "at end"
  | "stopped"
  /** What was read before `offset` is no longer there: the content was replaced. */
  | "replaced";

type ChunkEnd = ShipEnd | "more" | "line larger than chunk";

/**
 * Reads, frames and delivers from `file.offset` to the end of the file, chunk by chunk. Each read starts at the bytes before
 * the offset and compares them with what they were, so that a file that was truncated and has grown past the offset again
 * is never taken for its continuation. Rejects with what `read` throws.
 */
export async function shipFile(
  file: TailedFile,
  context: SourceContext,
  options: ShipOptions,
): Promise<ShipEnd> {
  const { chunks } = context.deps;
  const { signal } = options;
  let needsLarge = false;
  try {
    // Mostly what the wait before the first delivery is for; here it holds no chunk.
    await untilAborted(context.deps.checkpoints.durable(file.record), { signal });
    for (;;) {
      signal.throwIfAborted();
      if (file.next !== undefined) return "replaced";
      const chunk = await chunks.acquire(chunkBytes(file, context, needsLarge), { signal });
      try {
        const end = await shipChunk(file, context, chunk, options);
        if (end !== "more" && end !== "line larger than chunk") return end;
        needsLarge = end === "line larger than chunk";
      } finally {
        chunks.release(chunk);
      }
    }
  } catch (error) {
    if (signal.aborted) return "stopped";
    throw error;
  }
}

function chunkBytes(file: TailedFile, context: SourceContext, needsLarge: boolean): number {
  if (needsLarge)
    return Math.max(LARGE_CHUNK_BYTES, TAIL_BYTES + context.entry.maxLineBytes + NEWLINE_BYTES_MAX);
  const unread = file.size - file.offset + file.tail.length;
  return unread <= SMALL_CHUNK_BYTES || context.isStuck ? SMALL_CHUNK_BYTES : LARGE_CHUNK_BYTES;
}

async function shipChunk(
  file: TailedFile,
  context: SourceContext,
  chunk: Chunk,
  options: ShipOptions,
): Promise<ChunkEnd> {
  const { bytes } = chunk;
  const { checkpoints, clock } = context.deps;
  const base = file.offset - file.tail.length;
  const end = await readInto(file.fd, bytes, base);
  const readAtMs = clock.wallMs();
  if (!isContinuation(file, bytes.subarray(0, end), base)) return "replaced";
  const isFull = end === bytes.byteLength;
  if (!isFull && base + end < file.size) {
    context.shortened(file.record, base + end, file.offset);
    file.size = base + end;
  }
  checkpoints.saw(file.record, base + end);
  checkpoints.reached(file.record, base + end, hashOf(bytes.subarray(Math.max(0, end - TAIL_BYTES), end)));
  takeFingerprint(file, bytes.subarray(0, end), { base, checkpoints });
  // On disk before anything is sent: by it a later life knows whose lines this id's are.
  await untilAborted(checkpoints.durable(file.record), options);
  let at = file.tail.length;
  let lines = 0;
  for (;;) {
    const final = options.final && base + end >= file.size;
    const { starts, ends } = chunk;
    const { maxLineBytes } = context.entry;
    const found = findLines({ bytes, from: at, end, lineBytesMax: maxLineBytes, final, starts, ends });
    if (found.count === 0) break;
    if (found.cuts > 0) context.lineCut(file, base + at, found.cuts);
    const { count, to } = found;
    await deliver(
      file,
      context,
      { bytes, base, count, starts, ends, from: base + at, to: base + to },
      readAtMs,
      options,
    );
    lines += count;
    at = to;
  }
  file.readTo = Math.max(file.offset, base + end);
  if (!isFull) return "at end";
  return lines === 0 ? "line larger than chunk" : "more";
}

async function deliver(
  file: TailedFile,
  context: SourceContext,
  spans: LineSpans,
  readAtMs: number,
  options: ShipOptions,
): Promise<void> {
  const { clock, sink } = context.deps;
  const { topic, headers } = context.entry;
  const { content } = file;
  const tailEnd = spans.to - spans.base;
  const tail = hashOf(spans.bytes.subarray(Math.max(0, tailEnd - TAIL_BYTES), tailEnd));
  const nowMs = clock.monotonicMs();
  // Entered first: acknowledgements may come before the delivery resolves.
  content.enter({ from: spans.from, to: spans.to, tail, readAtMs: nowMs });
  file.deliveringSinceMs = nowMs;
  try {
    await sink.deliver({ topic, file: content, spans, readAtMs, headers }, { signal: options.signal });
  } catch (error) {
    content.withdraw();
    throw error;
  } finally {
    file.deliveringSinceMs = undefined;
  }
  context.totals.bytesRead += spans.to - spans.from;
  context.isStuck = false;
  file.advance(spans.to, tail);
}

/** Do the bytes before the offset, and the head when it is among them, match what they were? */
function isContinuation(file: TailedFile, bytes: Buffer, base: number): boolean {
  const { fingerprint } = file.record;
  if (!isSameBytes(file.tail, bytes.subarray(0, file.tail.length))) return false;
  return base > 0 || isSameBytes(fingerprint, bytes.subarray(0, fingerprint.length));
}

/** The head of the file, while it is short of its full length. Free: the bytes are in the chunk. */
function takeFingerprint(
  file: TailedFile,
  bytes: Buffer,
  { base, checkpoints }: { readonly base: number; readonly checkpoints: CheckpointStore },
): void {
  const { record } = file;
  if (base !== 0 || record.fingerprint.length >= FINGERPRINT_BYTES) return;
  if (bytes.byteLength > record.fingerprint.length) {
    checkpoints.setFingerprint(record, hashOf(bytes.subarray(0, FINGERPRINT_BYTES)));
  }
}

/** Reads at most a whole buffer; fewer bytes mean the end of the file. */
async function readInto(fd: number, bytes: Buffer, position: number): Promise<number> {
  if (bytes.byteLength <= SMALL_CHUNK_BYTES) return readSync(fd, bytes, 0, bytes.byteLength, position);
  return readInThreadPool(fd, bytes, position);
}

/** A large read would hold up the event loop. */
function readInThreadPool(fd: number, bytes: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, bytes, 0, bytes.byteLength, position, (error, got) => (error ? reject(error) : resolve(got)));
  });
}
