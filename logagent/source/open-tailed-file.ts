import { type BigIntStats, closeSync, fstatSync } from "node:fs";
import { dirname } from "node:path";
import { errorMessage } from "../../base/errors.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import { ContentLedger } from "./content-ledger.ts";
import type { LeftFile } from "./left-files.ts";
import { openLogFile } from "./open-file.ts";
import { identityOf, mayGoOn, type RecordOptions, recordOrGuess, unseenAtMs } from "./record-of-file.ts";
import type { SourceContext } from "./source-context.ts";
import { keyOf, TailedFile } from "./tailed-file.ts";

/** Before the path of a file that was moved: what is the matter with it is a problem until a search finds it well, or no more. */
export const ABOUT_MOVED = "moved to ";

export interface OpenOptions extends RecordOptions {
  /** Take the turns of the path where the file was found first, if that is another one. */
  readonly keepLane: boolean;
  /** The path whose turns it took, when that is known. */
  readonly lanePath?: string | undefined;
  /** Who claims the file. */
  readonly holder: object;
  /** The file that was found at the path: when it is another one by now, it is not opened. */
  readonly key: string;
  /** As it was found by the pattern; undefined: a search found it elsewhere. */
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
  const about = options.found === undefined ? `${ABOUT_MOVED}${path}` : path;
  const result = openLogFile(path, context.openLimits);
  if (result.kind === "refused") {
    if (result.isExhausted) openFiles.exhausted(clock.monotonicMs());
    context.problems.set(about, result.problem);
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
    const ids = new Set(checkpoints.find(identityOf(stats)).map(({ id }) => id));
    const { record, isSure } = recordOrGuess({ path: options.lane ?? path, fd, stats }, context, options);
    if (record === undefined) {
      context.logger.info({ path }, "compressed file is not shipped as lines");
      claims.release(key, options.holder);
      closeSync(fd);
      return "compressed";
    }
    checkpoints.foundIn(record, dirname(result.path));
    if (options.lane !== undefined) record.seenAtMs = unseenAtMs(record);
    context.problems.clear(about);
    const isOurs = claims.ownerOf(record.path) === context.entry.path;
    const lanePath = options.lanePath ?? (options.keepLane && isOurs ? record.path : path);
    const content = newLedger(record, context);
    const sizeBefore = Math.max(Number(options.found?.size ?? 0), record.doubted ?? 0);
    delete record.doubted;
    if (isSure && ids.has(record.id)) checkpoints.saw(record, sizeBefore);
    const nowMs = clock.monotonicMs();
    const file = new TailedFile({ fd, identity: identityOf(stats), lanePath, content, nowMs });
    // If its content is another by now, the first look that can read says so.
    if (isSure) seeSize(file, context);
    else file.doubtedSize = sizeBefore;
    return file;
  } catch (error) {
    // Of several contents that it had, the last is the one that may be there.
    const last = checkpoints.find(stats).at(-1);
    if (last !== undefined) checkpoints.doubted(last, Number(stats.size));
    claims.release(key, options.holder);
    closeSync(fd);
    context.problems.set(about, `Cannot read ${path}: ${errorMessage(error)}`);
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
  record.isUnsure = false;
  checkpoints.assign(record, { entry: context.entry.path, topic: context.entry.topic });
  record.isResting = false;
  const content = newLedger(record, context);
  const nowMs = clock.monotonicMs();
  const file = new TailedFile({ fd, identity, lanePath, content, nowMs });
  file.place = { kind: "moved", sinceMs: nowMs };
  file.isDeleted = true;
  // If its content is another by now, the first look that can read says so.
  if (isReadableAs(record, fd, file.size)) seeSize(file, context);
  return file;
}

function isReadableAs(...of: Parameters<typeof mayGoOn>): boolean {
  try {
    return mayGoOn(...of);
  } catch {
    return false;
  }
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
  record.isUnsure = false;
  const file = new TailedFile({ fd, identity, lanePath: record.path, content, nowMs, isUnpacked: true });
  checkpoints.believe(record);
  seeSize(file, context);
  return file;
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
