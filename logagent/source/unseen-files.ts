import { basename, dirname } from "node:path";
import { foldersOf } from "../checkpoint/gone-records.ts";
import type { CheckpointRecord, FileIdentity } from "../checkpoint/record.ts";
import type { FolderIndex } from "./folder-index.ts";
import { keyOf } from "./tailed-file.ts";

/** `a.log.1`, `a.log-20261121`, `a.log.2026-11-21_10:00`: what rotation makes of `a.log`. */
const ROTATED = /^(.+?)[._-]\d[\d._:T-]*$/;

/** A file that was at a path and left it before anybody looked. */
export interface UnseenFile {
  readonly path: string;
  readonly key: string;
  /** Where it was. */
  readonly lane: string;
}

/**
 * Files that were at the path of one of these records and were rotated on before they were seen: they have a rotated name
 * beside it, or in a folder where one of that path was found before, and were born after the last file that was known there was seen last. Oldest first. Nothing is said of lanes
 * whose newest file is still at its path, nor where the filesystem does not keep births.
 */
export async function findUnseen(
  records: Iterable<CheckpointRecord>,
  index: FolderIndex,
  ask: {
    readonly isAtItsPath: (record: CheckpointRecord) => boolean;
    readonly isKnown: (file: FileIdentity) => boolean;
  },
): Promise<readonly UnseenFile[]> {
  const all = [...records];
  const newest = newestByLane(all);
  // Of two that were born in one tick of the clock either may be the newest: it is asked of each.
  const current = new Set(all.filter(ask.isAtItsPath).map(({ path }) => path));
  const unseen: (UnseenFile & { readonly birthtimeNs: bigint })[] = [];
  for (const [folder, lanes] of lanesByFolder(all)) {
    const { files } = await index.look(folder);
    for (const [ino, { path, dev, birthtimeNs }] of files) {
      const lane = lanes.get(nameBefore(path) ?? "");
      const last = lane === undefined ? undefined : newest.get(lane);
      if (lane === undefined || last === undefined || last.birthtimeNs === 0n) continue;
      if (birthtimeNs < last.birthtimeNs || birthtimeNs < lastSeenNs(last)) continue;
      if (current.has(lane) || ask.isKnown({ dev, ino, birthtimeNs })) continue;
      unseen.push({ path, key: keyOf({ dev, ino }), lane, birthtimeNs });
    }
  }
  return unseen.sort((a, b) => (a.birthtimeNs < b.birthtimeNs ? -1 : 1));
}

/** The tick of the kernel's clock, which births are rounded to. */
const TICK_MS = 20;
const NS_PER_MS = 1_000_000n;

function lastSeenNs({ seenAtMs }: CheckpointRecord): bigint {
  return BigInt(Math.floor(seenAtMs) - TICK_MS) * NS_PER_MS;
}

/** Was it seen at its path, and not only found where it went? */
function wasSeen({ birthtimeNs, seenAtMs }: CheckpointRecord): boolean {
  return seenAtMs >= Number(birthtimeNs / NS_PER_MS);
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

/** Folder → the name in it, as it was before rotation → the path it was at: beside it, and where it was rotated to before. */
function lanesByFolder(records: Iterable<CheckpointRecord>): ReadonlyMap<string, Map<string, string>> {
  const byFolder = new Map<string, Map<string, string>>();
  for (const record of records) {
    const { path } = record;
    for (const folder of foldersOf(record)) {
      const lanes = byFolder.get(folder) ?? new Map<string, string>();
      byFolder.set(folder, lanes);
      // A file that has this name in its own folder comes before others that are rotated to there.
      if (folder === dirname(path) || !lanes.has(basename(path))) lanes.set(basename(path), path);
    }
  }
  return byFolder;
}

function nameBefore(path: string): string | undefined {
  return ROTATED.exec(basename(path))?.[1];
}
