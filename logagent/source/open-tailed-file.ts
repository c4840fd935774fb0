import { type BigIntStats, closeSync, fstatSync, readSync } from "node:fs";
import { errorMessage } from "../../base/errors.ts";
import type { CheckpointRecord, FileIdentity } from "../checkpoint/record.ts";
import { ContentLedger } from "./content-ledger.ts";
import { hashBefore, hashHead, holdsShipped } from "./file-hash.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf, TailedFile } from "./tailed-file.ts";

/** Held files of an agent at one time; more wait, and status says so. */
export const OPEN_FILES_MAX = 16_384;
/** How far back from the end of a file `from: end` looks for the start of a line that is being written. */
const UNFINISHED_LINE_BYTES_MAX = 64 * 1024;

export interface OpenOptions {
  /** New files are shipped from their end: they were there before the entry. */
  readonly fromEnd: boolean;
  /** Take the turns of the path where the file was found first, if that is another one. */
  readonly keepLane: boolean;
  /** Who claims the file. */
  readonly holder: object;
}

/**
 * Opens a file, claims it, and finds out whether it is one that was shipped before: then it goes on where its checkpoint
 * says, else it gets an id of its own. Undefined when it cannot be held now; the reason is among the problems.
 */
export function openTailedFile(
  path: string,
  context: SourceContext,
  options: OpenOptions,
): TailedFile | undefined {
  const { claims, clock, allow } = context.deps;
  if (claims.held >= OPEN_FILES_MAX) {
    context.problems.set(path, `Cannot open ${path}: ${OPEN_FILES_MAX} files are open already`);
    return undefined;
  }
  const result = openLogFile(path, allow);
  if (result.kind === "refused") context.problems.set(path, result.problem);
  if (result.kind !== "open") return undefined;
  const { fd, stats } = result;
  const key = keyOf(stats);
  if (!claims.take(key, options.holder)) {
    closeSync(fd);
    return undefined;
  }
  try {
    const record = recordOf(path, fd, stats, context, options.fromEnd);
    context.problems.clear(path);
    const isOurs = claims.ownerOf(record.path) === context.entry.path;
    const lanePath = options.keepLane && isOurs ? record.path : path;
    const content = newLedger(record, context);
    return new TailedFile({ fd, identity: identityOf(stats), lanePath, content, nowMs: clock.monotonicMs() });
  } catch (error) {
    claims.release(key, options.holder);
    closeSync(fd);
    context.problems.set(path, `Cannot read ${path}: ${errorMessage(error)}`);
    return undefined;
  }
}

/** The ledger of a record that is held from now on. */
export function newLedger(record: CheckpointRecord, context: SourceContext): ContentLedger {
  const { checkpoints, ip } = context.deps;
  return new ContentLedger({
    record,
    ip,
    checkpoints,
    totals: context.totals,
    onRejected: (rejected) => context.rejected(record, rejected),
  });
}

/** A record for content that was never shipped. It is read from `offset`. */
export function mintRecord(
  file: { readonly path: string; readonly fd: number; readonly identity: FileIdentity },
  offset: number,
  context: SourceContext,
): CheckpointRecord {
  const { checkpoints, clock } = context.deps;
  const { dev, ino, birthtimeNs } = file.identity;
  return checkpoints.mint({
    dev,
    ino,
    birthtimeNs,
    path: file.path,
    entry: context.entry.path,
    topic: context.entry.topic,
    fingerprint: hashHead(file.fd),
    offset,
    tail: hashBefore(file.fd, offset),
    seen: Math.max(fstatSync(file.fd).size, offset),
    seenAtMs: clock.wallMs(),
  });
}

function recordOf(
  path: string,
  fd: number,
  stats: BigIntStats,
  context: SourceContext,
  fromEnd: boolean,
): CheckpointRecord {
  const { checkpoints, clock } = context.deps;
  const size = Number(stats.size);
  const identity = identityOf(stats);
  const known = checkpoints.find(identity);
  const record = known.find((one) => one.offset <= size && holdsShipped(fd, one));
  for (const other of known) {
    if (other === record || other.dev !== identity.dev) continue;
    const to = other.seen > other.offset ? other.seen : ("unknown" as const);
    const reason = "replaced while the agent was down";
    context.lost({ file: other.id, path: other.path, from: other.offset, to, reason });
    checkpoints.remove(other);
  }
  if (record === undefined) {
    return mintRecord({ path, fd, identity }, fromEnd ? lastLineStart(fd, size) : 0, context);
  }
  record.dev = identity.dev;
  record.entry = context.entry.path;
  record.topic = context.entry.topic;
  record.seenAtMs = clock.wallMs();
  checkpoints.touch();
  return record;
}

/** Behind the last newline, so that a line which is being written is shipped whole; the end when there is none near. */
function lastLineStart(fd: number, size: number): number {
  const bytes = Buffer.allocUnsafe(Math.min(size, UNFINISHED_LINE_BYTES_MAX));
  const from = size - bytes.byteLength;
  const read = readSync(fd, bytes, 0, bytes.byteLength, from);
  const newline = bytes.subarray(0, read).lastIndexOf(10);
  if (newline === -1) return from === 0 ? 0 : from + read;
  return from + newline + 1;
}

function identityOf(stats: BigIntStats): FileIdentity {
  return { dev: stats.dev, ino: stats.ino, birthtimeNs: stats.birthtimeNs };
}
