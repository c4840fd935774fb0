import { basename, dirname, join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Slice } from "../../base/slice.ts";
import { foldersOf } from "../checkpoint/gone-records.ts";
import type { CheckpointRecord, FileIdentity } from "../checkpoint/record.ts";
import { endedNs } from "./compressed-file.ts";
import type { FolderIndex } from "./folder-index.ts";
import { compareMarks, isCompressedName, namesBefore } from "./generation-name.ts";
import { KERNEL_TICK_MS, NS_PER_MS } from "./kernel-tick.ts";
import type { LookingSince } from "./looking-since.ts";
import { SUBFOLDERS_MAX } from "./moved-files.ts";
import { wasSeen } from "./record-of-file.ts";
import { statOf } from "./stat-of.ts";

/** A file that was at a path and left it before anybody looked. */
export interface UnseenFile {
  readonly path: string;
  readonly identity: FileIdentity;
  /** Where it was. */
  readonly lane: string;
  /** What rotation put into its name. */
  readonly mark: string;
  /** It is what a program made of it, and of which its content ended then, in nanoseconds since the Unix epoch. */
  readonly compressed?: { readonly endedAtNs: bigint };
}

export interface UnseenQuestions {
  readonly isAtItsPath: (record: CheckpointRecord) => boolean;
  readonly isKnown: (file: FileIdentity) => boolean;
  /** Does an entry ship what is at this path? */
  readonly isOwned: (path: string) => boolean;
  /** Paths of the pattern at which there is a file now. */
  readonly present: Iterable<string>;
  readonly lookingSince: Pick<LookingSince, "earliestMs" | "at">;
}

interface SearchOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** A path that files leave, and since when a file that was there may have left it. */
interface Lane {
  readonly path: string;
  readonly leftNs: bigint;
  /** No file was seen there: it may be one at which nobody looked for so long. */
  readonly isUnknown?: boolean;
}

/**
 * Files that were at the path of one of these records, or at one where there is a file now and none was ever seen, and were rotated
 * on before they were seen: they have a rotated name beside it, in a folder below, or where one of that path was found before, and
 * were born after the last file that was known there was seen last, or since the agent looks there at all. Oldest first, compressed
 * ones behind the others. Nothing is said of lanes whose newest file is still at its path, nor where the filesystem does not keep
 * births. Rejects with the signal's reason.
 */
export async function findUnseen(
  records: Iterable<CheckpointRecord>,
  index: FolderIndex,
  ask: UnseenQuestions,
  options: SearchOptions,
): Promise<readonly UnseenFile[]> {
  const all = [...records];
  // Of two that were born in one tick of the clock either may be the newest: it is asked of each.
  const current = new Set(all.filter(ask.isAtItsPath).map(({ path }) => path));
  const newest = newestByLane(all);
  const left: Lane[] = [...newest.values()]
    .filter(({ path }) => !current.has(path))
    .map((last) => ({ path: last.path, leftNs: leftNs(last) }));
  const { earliestMs } = ask.lookingSince;
  if (earliestMs !== undefined) {
    const leftNs = wallNs(earliestMs);
    // Also those of which all that is known was found where it went.
    const paths = new Set([...ask.present, ...all.map(({ path }) => path)]);
    for (const path of paths) if (!newest.has(path)) left.push({ path, leftNs, isUnknown: true });
  }
  const unseen: UnseenFile[] = [];
  const slice = new Slice(options.clock);
  for (const place of await placesOf(left, all, index, options)) {
    const { files } = await index.look(place.folder);
    const names = new Set([...files.values()].map(({ path }) => basename(path)));
    for (const [ino, { path, otherPaths = [], dev, birthtimeNs }] of files) {
      if (slice.isOver) await slice.giveTurn(options);
      if (birthtimeNs < place.oldestNs) continue;
      const at = (name: string) => unseenAt(name, { dev, ino, birthtimeNs }, { ...place, names }, ask);
      const file = at(path) ?? otherPaths.map(at).find((found) => found !== undefined);
      if (file !== undefined) unseen.push(file);
    }
  }
  return unseen.sort(byAge);
}

/** A folder that is looked through, and of the lanes of which files may be there the name and who was seen last. */
interface Place {
  readonly folder: string;
  readonly lanes: ReadonlyMap<string, Lane>;
  /** When the first of these was seen last. */
  readonly oldestNs: bigint;
}

function unseenAt(
  path: string,
  identity: FileIdentity,
  { folder, lanes, names }: Place & { readonly names: ReadonlySet<string> },
  ask: UnseenQuestions,
): UnseenFile | undefined {
  const name = namesBefore(path).find(({ before }) => lanes.has(before));
  const last = lanes.get(name?.before ?? "");
  if (name === undefined || last === undefined || identity.birthtimeNs < last.leftNs) return undefined;
  const leftNs = last.isUnknown === true ? lookedAtNs(last.path, ask) : last.leftNs;
  if (leftNs === undefined || identity.birthtimeNs < leftNs) return undefined;
  // In another folder it may be one of a log that is written there.
  const isForeign = folder !== dirname(last.path);
  if (isForeign && (names.has(name.before) || ask.isOwned(join(folder, name.before)))) return undefined;
  if (ask.isKnown(identity)) return undefined;
  const file = { path, identity, lane: last.path, mark: name.mark };
  if (!isCompressedName(path)) return file;
  const stats = statOf(path);
  // What was written last before that has been seen at its path, and was compressed long after.
  if (stats?.ino !== identity.ino || stats.mtimeNs < leftNs) return undefined;
  return { ...file, compressed: { endedAtNs: endedNs(stats) } };
}

function byAge(a: UnseenFile, b: UnseenFile): number {
  if (a.compressed === undefined || b.compressed === undefined) {
    if (a.compressed !== b.compressed) return a.compressed === undefined ? -1 : 1;
    return Number(a.identity.birthtimeNs - b.identity.birthtimeNs);
  }
  return Number(a.compressed.endedAtNs - b.compressed.endedAtNs) || compareMarks(a.mark, b.mark);
}

/** Whoever was seen there since then has a record. */
function lookedAtNs(path: string, { lookingSince }: UnseenQuestions): bigint | undefined {
  const sinceMs = lookingSince.at(path);
  return sinceMs === undefined ? undefined : wallNs(sinceMs);
}

/** A tick before. */
function wallNs(ms: number): bigint {
  return BigInt(Math.floor(ms) - KERNEL_TICK_MS) * NS_PER_MS;
}

/** Not before that has it left its path. */
function leftNs({ birthtimeNs, seenAtMs, leftAtMs }: CheckpointRecord): bigint {
  const seenAtNs = wallNs(leftAtMs ?? seenAtMs);
  return seenAtNs > birthtimeNs ? seenAtNs : birthtimeNs;
}

function newestByLane(records: Iterable<CheckpointRecord>): ReadonlyMap<string, CheckpointRecord> {
  const newest = new Map<string, CheckpointRecord>();
  for (const record of records) {
    if (!wasSeen(record)) continue;
    const other = newest.get(record.path);
    if (other === undefined || other.birthtimeNs < record.birthtimeNs) newest.set(record.path, record);
  }
  return newest;
}

/** Beside the paths of those that have left them, in the folders below, and where one of the same path was found. */
async function placesOf(
  left: readonly Lane[],
  records: readonly CheckpointRecord[],
  index: FolderIndex,
  options: SearchOptions,
): Promise<readonly Place[]> {
  const slice = new Slice(options.clock);
  const byFolder = new Map<string, Map<string, Lane>>();
  // A folder is looked at once, of however many files it is the place.
  const foldersBelow = new Map<string, readonly string[]>();
  const enter = (folder: string, last: Lane) => {
    const lanes = byFolder.get(folder) ?? new Map<string, Lane>();
    byFolder.set(folder, lanes);
    const name = basename(last.path);
    // A file that has this name in its own folder comes before others that are rotated to there.
    if (folder === dirname(last.path) || !lanes.has(name)) lanes.set(name, last);
  };
  const byPath = new Map(left.map((last) => [last.path, last]));
  for (const last of left) {
    if (slice.isOver) await slice.giveTurn(options);
    const folder = dirname(last.path);
    enter(folder, last);
    const below = foldersBelow.get(folder) ?? (await index.look(folder)).folders.slice(0, SUBFOLDERS_MAX);
    foldersBelow.set(folder, below);
    for (const folderBelow of below) enter(folderBelow, last);
  }
  for (const record of records) {
    const last = byPath.get(record.path);
    if (last !== undefined) for (const folder of foldersOf(record)) enter(folder, last);
  }
  const places: Place[] = [];
  for (const [folder, lanes] of byFolder) {
    if (slice.isOver) await slice.giveTurn(options);
    places.push({ folder, lanes, oldestNs: oldestNs(lanes.values()) });
  }
  return places;
}

function oldestNs(lanes: Iterable<Lane>): bigint {
  let oldest: bigint | undefined;
  for (const { leftNs } of lanes) if (oldest === undefined || leftNs < oldest) oldest = leftNs;
  return oldest ?? 0n;
}
