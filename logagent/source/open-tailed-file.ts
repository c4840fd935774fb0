import { type BigIntStats, closeSync, fstatSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { errorMessage } from "../../base/errors.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { type CheckpointRecord, type FileIdentity, NO_BYTES } from "../checkpoint/record.ts";
import { ContentLedger } from "./content-ledger.ts";
import { hashBefore, hashHead, holdsFurthest, holdsShipped } from "./file-hash.ts";
import { NS_PER_MS } from "./kernel-tick.ts";
import type { LeftFile } from "./left-files.ts";
import { openLogFile } from "./open-file.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf, TailedFile } from "./tailed-file.ts";
import { isCompressed } from "./unpack.ts";

/** How far back from the end of a file `from: end` looks for the start of a line that is being written. */
const UNFINISHED_LINE_BYTES_MAX = 64 * 1024;

export interface OpenOptions {
  /** New files are shipped from their end: they were there before the entry. */
  readonly fromEnd: boolean;
  /** Take the turns of the path where the file was found first, if that is another one. */
  readonly keepLane: boolean;
  /** The path whose turns it took, when that is known. */
  readonly lanePath?: string | undefined;
  /** Who claims the file. */
  readonly holder: object;
  /** The file that was found at the path: when it is another one by now, it is not opened. */
  readonly key: string;
  /** As it was found. */
  readonly found?: BigIntStats | undefined;
  /** Of a new file: the path it was at, when that is not the one at which it was found. */
  readonly lane?: string | undefined;
}

/**
 * Opens a file, claims it, and finds out whether it is one that was shipped before: then it goes on where its checkpoint
 * says, else it gets an id of its own. "moved": the path is another file's by now, or nobody's. "compressed": what rotation made
 * of a file is not its lines. Undefined when it cannot be held now; the reason is among the problems.
 */
export function openTailedFile(
  path: string,
  context: SourceContext,
  options: OpenOptions,
): TailedFile | "moved" | "compressed" | undefined {
  const { checkpoints, claims, clock, openFiles } = context.deps;
  const result = openLogFile(path, context.openLimits);
  if (result.kind === "refused") {
    if (result.isExhausted) openFiles.exhausted(clock.monotonicMs());
    context.problems.set(path, result.problem);
  }
  if (result.kind === "gone") return "moved";
  if (result.kind !== "open") return undefined;
  const { fd, stats } = result;
  const key = keyOf(stats);
  // By its number alone it may be one that came when the other had gone.
  const isFound =
    key === options.key && (options.found?.birthtimeNs ?? stats.birthtimeNs) === stats.birthtimeNs;
  if (!isFound || !claims.take(identityOf(stats), options.holder)) {
    closeSync(fd);
    return isFound ? undefined : "moved";
  }
  try {
    if (checkpoints.find(identityOf(stats)).every(({ isPacked }) => isPacked) && isCompressed(fd)) {
      context.logger.info({ path }, "compressed file is not shipped as lines");
      claims.release(key, options.holder);
      closeSync(fd);
      return "compressed";
    }
    const ids = new Set(checkpoints.find(identityOf(stats)).map(({ id }) => id));
    const record = recordOf(options.lane ?? path, fd, stats, context, options.fromEnd);
    checkpoints.foundIn(record, dirname(result.path));
    if (options.lane !== undefined) record.seenAtMs = unseenAtMs(record);
    context.problems.clear(path);
    const isOurs = claims.ownerOf(record.path) === context.entry.path;
    const lanePath = options.lanePath ?? (options.keepLane && isOurs ? record.path : path);
    const content = newLedger(record, context);
    if (options.found !== undefined && ids.has(record.id))
      checkpoints.saw(record, Number(options.found.size));
    const nowMs = clock.monotonicMs();
    const file = new TailedFile({ fd, identity: identityOf(stats), lanePath, content, nowMs });
    seeSize(file, context);
    return file;
  } catch (error) {
    claims.release(key, options.holder);
    closeSync(fd);
    context.problems.set(path, `Cannot read ${path}: ${errorMessage(error)}`);
    return undefined;
  }
}

/** Goes on with a deleted file that another task has left, behind what is acknowledged of it. */
export function openLeft(
  { fd, identity, record, lanePath }: LeftFile,
  context: SourceContext,
  holder: object,
): TailedFile {
  const { checkpoints, claims, clock } = context.deps;
  claims.take(identity, holder);
  checkpoints.held(record);
  checkpoints.assign(record, { entry: context.entry.path, topic: context.entry.topic });
  record.isResting = false;
  const content = newLedger(record, context);
  const nowMs = clock.monotonicMs();
  const file = new TailedFile({ fd, identity, lanePath, content, nowMs });
  file.place = { kind: "moved", sinceMs: nowMs };
  file.isDeleted = true;
  // If its content is another by now, the first look says so.
  if (mayGoOn(record, fd, file.size, checkpoints)) seeSize(file, context);
  return file;
}

/** Enters the size of a file that goes on with a record. */
function seeSize(file: TailedFile, context: SourceContext): void {
  const { record, size } = file;
  context.deps.checkpoints.saw(record, size);
  // One that is cut off in what was sent is another content: the first look says that.
  const isSame = size >= Math.max(file.offset, file.sentTo);
  if (size < record.seen && isSame) context.shortened(record, size, file);
}

/** Goes on with the content of a compressed file, unpacked into `fd`, under its record, or that of the file that it was before. */
export function openUnpacked(fd: number, record: CheckpointRecord, context: SourceContext): TailedFile {
  const { checkpoints, clock } = context.deps;
  const { dev, ino } = fstatSync(fd, { bigint: true });
  // When a content was born that nobody saw before it was compressed, nobody knows.
  const identity = { dev, ino, birthtimeNs: record.isPacked === true ? 0n : record.birthtimeNs };
  const content = newLedger(record, context);
  const nowMs = clock.monotonicMs();
  checkpoints.held(record);
  const file = new TailedFile({ fd, identity, lanePath: record.path, content, nowMs, isUnpacked: true });
  checkpoints.saw(record, file.size);
  return file;
}

/**
 * A record for what is in a compressed file that nobody saw before it was compressed. `fd`: it is unpacked into it; undefined:
 * nobody can know what is in it.
 */
export function mintPacked(
  file: { readonly path: string; readonly fd: number | undefined; readonly identity: FileIdentity },
  context: SourceContext,
): CheckpointRecord {
  const { checkpoints } = context.deps;
  const { fd, identity, path } = file;
  const isReadable = fd !== undefined;
  return checkpoints.mint({
    ...identity,
    path,
    entry: context.entry.path,
    topic: context.entry.topic,
    fingerprint: isReadable ? hashHead(fd) : NO_BYTES,
    offset: 0,
    tail: NO_BYTES,
    seen: isReadable ? fstatSync(fd).size : 0,
    seenAtMs: unseenAtMs(identity),
    isPacked: true,
  });
}

/** Nobody saw it where it was: others may have come after it, and gone as well. */
function unseenAtMs({ birthtimeNs }: FileIdentity): number {
  return Number(birthtimeNs / NS_PER_MS) - 1;
}

/** The ledger of a record that is held from now on. */
export function newLedger(record: CheckpointRecord, context: SourceContext): ContentLedger {
  const { checkpoints, ip } = context.deps;
  return new ContentLedger({
    record,
    ip,
    checkpoints,
    totals: context.totals,
    onRejected: (refused) => context.refusedLines.add(record, refused),
  });
}

/** A record for content that was never shipped. It is read from `offset`. */
function mintRecord(
  file: { readonly path: string; readonly fd: number; readonly identity: FileIdentity },
  offset: number,
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
    fingerprint: hashHead(file.fd),
    offset,
    tail: hashBefore(file.fd, offset),
    seen: Math.max(fstatSync(file.fd).size, offset),
    seenAtMs: clock.wallMs(),
  });
}

/** A record for content that has replaced another one in the same file. */
export function mintSuccessor(
  before: CheckpointRecord,
  file: { readonly fd: number; readonly identity: FileIdentity },
  context: SourceContext,
): CheckpointRecord {
  const record = mintRecord({ path: before.path, ...file }, 0, context);
  // As far as its path goes nothing is new.
  record.seenAtMs = before.seenAtMs;
  return record;
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
  const known = checkpoints.find(identity).filter((one) => !context.unsettled.isReplaced(one));
  const record = known.find((one) => tells(one) && mayGoOn(one, fd, size, checkpoints));
  // Without births a number says nothing: another file may have it by now.
  const before = identity.birthtimeNs === 0n ? undefined : known[0];
  for (const other of known) {
    if (other === record || other.dev !== identity.dev) continue;
    if (tells(other) || other.seen > other.offset)
      context.lostRest(other, other.offset, "replaced while the agent was down");
    checkpoints.remove(other);
  }
  if (record === undefined) {
    if (before === undefined) {
      return mintRecord({ path, fd, identity }, fromEnd ? lastLineStart(fd, size) : 0, context);
    }
    return mintSuccessor(before, { fd, identity }, context);
  }
  checkpoints.held(record);
  checkpoints.saw(record, size);
  record.dev = identity.dev;
  checkpoints.assign(record, { entry: context.entry.path, topic: context.entry.topic });
  // Found where it went, it says nothing of who was at its path meanwhile.
  if (path === record.path) record.seenAtMs = clock.wallMs();
  record.isResting = false;
  checkpoints.touch();
  return record;
}

function mayGoOn(record: CheckpointRecord, fd: number, size: number, checkpoints: CheckpointStore): boolean {
  // What was seen may have been sent: of a shorter file nobody knows then how much of that is still the same.
  const least = checkpoints.isUnsure(record) ? record.seen : record.offset;
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

function identityOf(stats: BigIntStats): FileIdentity {
  return { dev: stats.dev, ino: stats.ino, birthtimeNs: stats.birthtimeNs };
}
