import { read, readSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { untilAborted } from "../../base/until-aborted.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { type Flush, LINE_START, type LinePosition, type LineSpans, NO_FLUSH } from "../framing/types.ts";
import { type Chunk, LARGE_CHUNK_BYTES, SMALL_CHUNK_BYTES } from "./chunk-pool.ts";
import { FINGERPRINT_BYTES, hashOf, isSameBytes, TAIL_BYTES } from "./file-hash.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** Lines that patterns look at before others have their turn. */
const LINES_PER_TURN = 512;

export interface ShipOptions {
  readonly signal: AbortSignal;
  /** What of the bytes behind the last newline is shipped as it is: all of it when the file is complete. */
  readonly flush: Flush;
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
      await allowedByRate(context, signal);
      if (file.givesWaySinceMs !== undefined) return "stopped";
      const chunk = await chunks.acquire(chunkBytes(file, context, needsLarge), { signal });
      try {
        const end = await shipChunk(file, context, chunk, options);
        if (end !== "more" && end !== "line larger than chunk") return end;
        needsLarge = end === "line larger than chunk";
      } finally {
        file.chunkTo = undefined;
        chunks.release(chunk);
      }
    }
  } catch (error) {
    if (signal.aborted) return "stopped";
    throw error;
  }
}

function chunkBytes(file: TailedFile, context: SourceContext, needsLarge: boolean): number {
  if (needsLarge) return Math.max(LARGE_CHUNK_BYTES, TAIL_BYTES + context.pipeline.chunkBytesMin);
  // Whatever is read is shipped, so that little is read beyond a limit.
  if (context.rateLimit !== undefined) return SMALL_CHUNK_BYTES;
  const unread = file.size - file.offset + file.tail.length;
  return unread <= SMALL_CHUNK_BYTES || context.stuckTopic.isStuck ? SMALL_CHUNK_BYTES : LARGE_CHUNK_BYTES;
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
  const sizeBefore = file.size;
  const { end, failure } = await readInto(file, bytes, base);
  // It may be of the new content, and what is not read yet of the old one was said to be lost.
  if (file.next !== undefined) return "replaced";
  const readAtMs = clock.wallMs();
  if (failure !== undefined && end < comparedBytes(file, base)) throw failure;
  if (!isContinuation(file, bytes.subarray(0, end), base)) return "replaced";
  const isFull = end === bytes.byteLength;
  if (!isFull && failure === undefined && base + end < file.sentTo) return "replaced";
  // Not below a size that was seen only after the read, nor one that a look meanwhile has found to be shorter.
  if (!isFull && failure === undefined && base + end < Math.min(sizeBefore, file.size)) {
    context.shortened(file.record, base + end, file);
    file.size = base + end;
  }
  checkpoints.saw(file.record, base + end);
  if (context.rateLimit === undefined) lookedThrough(file, base + end, context);
  checkpoints.reached(file.record, base + end, hashOf(bytes.subarray(Math.max(0, end - TAIL_BYTES), end)));
  takeFingerprint(file, bytes.subarray(0, end), { base, checkpoints });
  file.chunkTo = base + end;
  // On disk before anything is sent: by it a later life knows whose lines this id's are.
  await untilAborted(checkpoints.durable(file.record), options);
  const flush = failure === undefined && base + end >= file.size ? options.flush : NO_FLUSH;
  const origin = { ip: context.deps.ip, path: file.record.path, readAt: new Date(readAtMs).toISOString() };
  const start = file.offset;
  for (let isLimited = false; !isLimited; ) {
    const from = file.offset - base;
    const { starts, ends } = roomFor(chunk, context);
    const position = positionOf(file);
    const output = context.pipeline.run({ bytes, base, from, position, end, flush, starts, ends, origin });
    const { spans } = output;
    if (spans.to === spans.from) break;
    if (context.rateLimit !== undefined) {
      // The rest of the chunk is read again.
      file.chunkTo = spans.to;
      lookedThrough(file, spans.to, context);
    }
    await deliver(file, context, { spans, position: output.position, bytes, readAtMs }, options);
    file.inLine = { content: file.content, offset: file.offset, position: output.position };
    context.ruled(file, spans.from, output);
    if (context.pipeline.isCostly) await nextTurn();
    isLimited = context.rateLimit !== undefined;
  }
  if (context.rateLimit !== undefined && file.offset > start) return "more";
  if (failure !== undefined) throw failure;
  if (context.rateLimit !== undefined) lookedThrough(file, base + end, context);
  file.readTo = Math.max(file.offset, base + end);
  if (!isFull) return "at end";
  return file.offset === start ? "line larger than chunk" : "more";
}

/** Counts what is looked through for lines, up to `to`; again what is read again from a line that was looked through whole. */
function lookedThrough(file: TailedFile, to: number, { totals }: SourceContext): void {
  const bytes = Math.max(0, to - Math.max(file.readTo, file.offset));
  file.record.account.read += bytes;
  totals.bytesRead += bytes;
}

function positionOf(file: TailedFile): LinePosition {
  const { inLine, content, offset } = file;
  return inLine?.content === content && inLine.offset === offset ? inLine.position : LINE_START;
}

/** Resolves when the entry's rate limit allows another byte and another line. */
async function allowedByRate({ rateLimit, deps }: SourceContext, signal: AbortSignal): Promise<void> {
  if (rateLimit === undefined) return;
  for (;;) {
    const { waitMs } = rateLimit.allowance(deps.clock.monotonicMs());
    if (waitMs === 0) return;
    await deps.clock.sleep(waitMs, { signal });
  }
}

/** Of a chunk's room for lines as much as the entry's rate limit allows, and little where patterns look at each line. */
function roomFor({ starts, ends }: Chunk, context: SourceContext): Pick<Chunk, "starts" | "ends"> {
  const { rateLimit, deps, pipeline } = context;
  if (rateLimit === undefined && !pipeline.isCostly) return { starts, ends };
  const allowed = rateLimit?.allowance(deps.clock.monotonicMs()).lines ?? Number.POSITIVE_INFINITY;
  const wanted = pipeline.isCostly ? Math.min(allowed, LINES_PER_TURN) : allowed;
  const lines = Math.min(Math.max(wanted, pipeline.roomMin), starts.length);
  return { starts: starts.subarray(0, lines), ends: ends.subarray(0, lines) };
}

async function deliver(
  file: TailedFile,
  context: SourceContext,
  {
    spans,
    position,
    bytes,
    readAtMs,
  }: {
    readonly spans: LineSpans;
    /** Behind them. */
    readonly position: LinePosition;
    readonly bytes: Buffer;
    readonly readAtMs: number;
  },
  options: ShipOptions,
): Promise<void> {
  const { clock, sink } = context.deps;
  const { topic, headers } = context.entry;
  const { content } = file;
  const tailEnd = spans.to - spans.base;
  const tail = hashOf(bytes.subarray(Math.max(0, tailEnd - TAIL_BYTES), tailEnd));
  const nowMs = clock.monotonicMs();
  // Entered first: acknowledgements may come before the delivery resolves.
  content.enter({ from: spans.from, to: spans.to, tail, position, readAtMs: nowMs });
  file.sentTo = Math.max(file.sentTo, spans.to);
  file.deliveringSinceMs = nowMs;
  try {
    await sink.deliver({ topic, file: content, spans, readAtMs, headers }, { signal: options.signal });
  } catch (error) {
    content.withdraw();
    throw error;
  } finally {
    file.deliveringSinceMs = undefined;
  }
  context.rateLimit?.taken({ bytes: spans.to - spans.from, lines: spans.count }, clock.monotonicMs());
  context.stuckTopic.took();
  file.advance(spans.to, tail);
}

/** Bytes at the start of a read that {@link isContinuation} looks at. */
function comparedBytes({ record, tail }: TailedFile, base: number): number {
  return Math.max(tail.length, base === 0 ? record.fingerprint.length : 0);
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

interface ReadBytes {
  readonly end: number;
  /** What came behind them cannot be read. */
  readonly failure?: unknown;
}

/**
 * Reads a whole buffer, or to the end of the file. A read that stops short of what is known to be there may have come to a page
 * that cannot be read: only the next one tells that from a file that was cut off. Rejects when there is nothing before that.
 */
async function readInto(file: TailedFile, bytes: Buffer, position: number): Promise<ReadBytes> {
  const { size } = file;
  let end = 0;
  try {
    for (let got = -1; got !== 0 && end < bytes.byteLength && (got === -1 || position + end < size); ) {
      got = await readOnce(file, bytes.subarray(end), position + end);
      end += got;
    }
  } catch (error) {
    if (end === 0) throw error;
    return { end, failure: error };
  }
  return { end };
}

/** A large read would hold up the event loop, and so would one from a disk that tries again and again. */
function readOnce(file: TailedFile, bytes: Buffer, position: number): number | Promise<number> {
  const isQuick = bytes.byteLength <= SMALL_CHUNK_BYTES && file.failedReads === 0;
  if (isQuick) return readSync(file.fd, bytes, 0, bytes.byteLength, position);
  return new Promise((resolve, reject) => {
    read(file.fd, bytes, 0, bytes.byteLength, position, (error, got) =>
      error ? reject(error) : resolve(got),
    );
  });
}
