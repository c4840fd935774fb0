import { type BigIntStats, fstatSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "../../base/errors.ts";
import { type CheckpointRecord, type FileIdentity, NO_BYTES } from "../checkpoint/record.ts";
import { hashBefore, hashHead, holdsFurthest, holdsShipped } from "./file-hash.ts";
import { isCompressedName } from "./generation-name.ts";
import { NS_PER_MS } from "./kernel-tick.ts";
import type { SourceContext } from "./source-context.ts";
import { statOf } from "./stat-of.ts";
import { keyOf } from "./tailed-file.ts";
import { isCompressed } from "./unpack.ts";

/** How far back from the end of a file `from: end` looks for the start of a line that is being written. */
const UNFINISHED_LINE_BYTES_MAX = 64 * 1024;

/** A file that was opened, and the path whose record it is to have. */
export interface Opened {
  readonly path: string;
  readonly fd: number;
  readonly stats: BigIntStats;
}

export interface RecordOptions {
  /** New files are shipped from their end: they were there before the entry. */
  readonly fromEnd: boolean;
  /** It is closed again at once. */
  readonly isVisit?: boolean;
}

/**
 * Undefined: it is compressed. A file that cannot be read is held as well, as what it is by its identity, if that is clear: it may go
 * before it can be read, and whoever came after it at its path is to wait.
 */
export function recordOrGuess(
  opened: Opened,
  context: SourceContext,
  options: RecordOptions,
): { readonly record: CheckpointRecord | undefined; readonly isSure: boolean } {
  const known = context.deps.checkpoints.find(identityOf(opened.stats));
  try {
    const isPacked = known.every((one) => one.isPacked) && isCompressed(opened.fd);
    return { record: isPacked ? undefined : recordOf(opened, context, options.fromEnd), isSure: true };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    const record = guess(opened, known, context, options);
    if (record === undefined) throw error;
    return { record, isSure: !known.includes(record) };
  }
}

/** By the identity of a file alone; undefined: that does not say it. */
function guess(
  opened: Opened,
  [only, ...others]: readonly CheckpointRecord[],
  context: SourceContext,
  { fromEnd, isVisit }: RecordOptions,
): CheckpointRecord | undefined {
  const { path, fd, stats } = opened;
  const identity = identityOf(stats);
  if (others.length > 0) return undefined;
  // Without births another file may have its number by now: one that says nothing of its file is replaced, whoever that was.
  const isNobodys = only === undefined || (identity.birthtimeNs === 0n && !tells(only));
  if (!isNobodys) {
    const isOther =
      identity.birthtimeNs === 0n || only.isPacked === true || context.unsettled.isReplaced(only);
    return isOther ? undefined : goOnWith(only, opened, context);
  }
  if (fromEnd || isCompressedName(path)) return undefined;
  // By nothing would it be known again when it is not held.
  if (identity.birthtimeNs === 0n && isVisit === true) return undefined;
  const record = mintRecord({ path, fd, identity }, { offset: 0, isReadable: false }, context);
  if (only !== undefined) replace(only, identity, context);
  return record;
}

function recordOf({ path, fd, stats }: Opened, context: SourceContext, fromEnd: boolean): CheckpointRecord {
  const { checkpoints } = context.deps;
  const size = Number(stats.size);
  const identity = identityOf(stats);
  const known = checkpoints.find(identity).filter((one) => !context.unsettled.isReplaced(one));
  const found = known.find((one) => tells(one) && mayGoOn(one, fd, size));
  // Before anything is said of the others, for it reads.
  const record = found ?? mintFor({ path, fd, identity }, known[0], { context, fromEnd, size });
  for (const other of known) if (other !== found) replace(other, identity, context);
  if (found === undefined) return record;
  checkpoints.saw(record, size);
  return goOnWith(record, { path, stats }, context);
}

/** Its file has gone, if it was one of the same device: another one has its number. */
function replace(other: CheckpointRecord, { dev }: FileIdentity, context: SourceContext): void {
  if (other.dev !== dev) return;
  if (tells(other) || other.seen > other.offset)
    context.lostRest(other, other.offset, "replaced while the agent was down");
  context.deps.checkpoints.remove(other);
}

function mintFor(
  file: { readonly path: string; readonly fd: number; readonly identity: FileIdentity },
  before: CheckpointRecord | undefined,
  {
    context,
    fromEnd,
    size,
  }: { readonly context: SourceContext; readonly fromEnd: boolean; readonly size: number },
): CheckpointRecord {
  const { fd, identity } = file;
  // Without births a number says nothing: another file may have it by now.
  if (before !== undefined && identity.birthtimeNs !== 0n)
    return mintSuccessor(before, { fd, identity }, context);
  return mintRecord(file, { offset: fromEnd ? lastLineStart(fd, size) : 0 }, context);
}

function goOnWith(
  record: CheckpointRecord,
  { path, stats }: Pick<Opened, "path" | "stats">,
  context: SourceContext,
): CheckpointRecord {
  const { checkpoints, clock } = context.deps;
  record.isUnsure = false;
  record.dev = stats.dev;
  checkpoints.assign(record, { entry: context.entry.path, topic: context.entry.topic });
  // Found where it went, it says nothing of who was at its path meanwhile.
  if (path === record.path) record.seenAtMs = clock.wallMs();
  record.isResting = false;
  checkpoints.touch();
  return record;
}

/**
 * A record for what is in a compressed file that nobody saw before it was compressed. `fd`: it is unpacked into it; undefined:
 * nobody can know what is in it.
 */
export function mintPacked(
  file: { readonly path: string; readonly fd: number | undefined; readonly identity: FileIdentity },
  context: SourceContext,
): CheckpointRecord {
  const { fd } = file;
  const content = { isPacked: true, fingerprint: NO_BYTES, seen: 0 };
  if (fd === undefined) return mintUnseen(file, content, context);
  return mintUnseen(file, { ...content, fingerprint: hashHead(fd), seen: fstatSync(fd).size }, context);
}

/** Nobody saw it where it was: others may have come after it, and gone as well. */
export function unseenAtMs({ birthtimeNs }: FileIdentity): number {
  return Number(birthtimeNs / NS_PER_MS) - 1;
}

/** Was it seen at its path, and not only found where it went? */
export function wasSeen({ birthtimeNs, seenAtMs, leftAtMs, isPacked }: CheckpointRecord): boolean {
  return isPacked !== true && birthtimeNs !== 0n && (leftAtMs ?? seenAtMs) >= Number(birthtimeNs / NS_PER_MS);
}

/** A record for content that was never shipped. It is read from `offset`. While it cannot be read, it is known as an empty one is. */
function mintRecord(
  file: { readonly path: string; readonly fd: number; readonly identity: FileIdentity },
  { offset, isReadable = true }: { readonly offset: number; readonly isReadable?: boolean },
  context: SourceContext,
): CheckpointRecord {
  const { checkpoints, claims, clock } = context.deps;
  const { dev, ino, birthtimeNs } = file.identity;
  const { path } = file;
  const entry = context.entry.path;
  return checkpoints.mint({
    dev,
    ino,
    birthtimeNs,
    path,
    // The task may be on its way out.
    entry: claims.heirOf({ path, entry }) ?? entry,
    topic: context.entry.topic,
    fingerprint: isReadable ? hashHead(file.fd) : NO_BYTES,
    offset,
    tail: hashBefore(file.fd, offset),
    seen: Math.max(fstatSync(file.fd).size, offset),
    seenAtMs: clock.wallMs(),
  });
}

/**
 * A record for a file that was found and cannot be opened now, as it is known by its stat: by that it is found again, though it has a
 * successor at its path. None for one that is known, or by now at another path.
 */
export function mintUnopened(
  path: string,
  { key, lane }: { readonly key: string; readonly lane: string },
  context: SourceContext,
): void {
  const { checkpoints } = context.deps;
  const stats = statOf(path);
  if (stats === undefined || keyOf(stats) !== key || stats.birthtimeNs === 0n) return;
  if (checkpoints.find(stats).length > 0) return;
  const content = { fingerprint: NO_BYTES, seen: Number(stats.size) };
  const record = mintUnseen({ path: lane, identity: identityOf(stats) }, content, context);
  checkpoints.foundIn(record, dirname(path));
}

/** A record for a file that was first found where it had gone from `path`. */
function mintUnseen(
  { path, identity }: { readonly path: string; readonly identity: FileIdentity },
  content: Pick<CheckpointRecord, "fingerprint" | "seen" | "isPacked">,
  { entry, deps }: SourceContext,
): CheckpointRecord {
  return deps.checkpoints.mint({
    ...identity,
    path,
    entry: entry.path,
    topic: entry.topic,
    offset: 0,
    tail: NO_BYTES,
    seenAtMs: unseenAtMs(identity),
    ...content,
  });
}

/** A record for content that has replaced another one in the same file. */
export function mintSuccessor(
  before: CheckpointRecord,
  file: { readonly fd: number; readonly identity: FileIdentity },
  context: SourceContext,
): CheckpointRecord {
  const record = mintRecord({ path: before.path, ...file }, { offset: 0 }, context);
  // As far as its path goes nothing is new.
  record.seenAtMs = before.seenAtMs;
  return record;
}

export function mayGoOn(record: CheckpointRecord, fd: number, size: number): boolean {
  // What was seen may have been sent: of a shorter file nobody knows then how much of that is still the same.
  const least = record.isUnsure ? record.seen : record.offset;
  return least <= size && holdsShipped(fd, record) && holdsFurthest(fd, record);
}

/** Does the record say anything by which another file with the same inode would not match it? */
export function tells({ birthtimeNs, fingerprint }: CheckpointRecord): boolean {
  return birthtimeNs !== 0n || fingerprint.length > 0;
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

export function identityOf(stats: BigIntStats): FileIdentity {
  return { dev: stats.dev, ino: stats.ino, birthtimeNs: stats.birthtimeNs };
}
