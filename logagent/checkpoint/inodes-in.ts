import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorCode } from "../../base/errors.ts";

/** The event loop gets its turn after so many names. */
const NAMES_PER_TURN = 1_000;

/** Names that come, go or change while a folder is read make it be read so many times; then what was found has to do. */
const TRIES_MAX = 3;

export interface FolderInodes {
  /** Regular files, by inode. */
  readonly files: ReadonlyMap<
    bigint,
    { readonly path: string; readonly dev: bigint; readonly birthtimeNs: bigint }
  >;
  /** The paths of folders in it. */
  readonly folders: readonly string[];
  /** False: the folder or a name in it could not be looked at, so that a file that is not in `files` may be there. */
  readonly isComplete: boolean;
}

/**
 * The files of a folder, under whatever name. A folder that is not there has none. It is read again while names change under
 * the eye: a file may have gone from a name that was not yet looked at to one that was, or that was not there.
 */
export async function inodesIn(folder: string): Promise<FolderInodes> {
  for (let tries = 1; ; tries += 1) {
    const { hasChanged, ...inodes } = await readOnce(folder);
    if (!hasChanged || tries === TRIES_MAX) return inodes;
  }
}

async function readOnce(folder: string): Promise<FolderInodes & { readonly hasChanged: boolean }> {
  const files = new Map<bigint, { path: string; dev: bigint; birthtimeNs: bigint }>();
  const folders: string[] = [];
  let isComplete = true;
  let hasChanged = false;
  const changedNs = namesChangedAt(folder);
  const names = namesIn(folder);
  if (names === undefined) return { files, folders, isComplete: false, hasChanged };
  for (const [index, name] of names.entries()) {
    if (index % NAMES_PER_TURN === NAMES_PER_TURN - 1) await nextTurn();
    const path = join(folder, name);
    try {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats?.isFile()) files.set(stats.ino, { path, dev: stats.dev, birthtimeNs: stats.birthtimeNs });
      else if (stats?.isDirectory()) folders.push(path);
      hasChanged ||= stats === undefined;
    } catch (error) {
      // A link into a folder that may not be entered, or a loop of links: the others are looked at all the same.
      if (errorCode(error) === undefined) throw error;
      isComplete = false;
    }
  }
  hasChanged ||= namesChangedAt(folder) !== changedNs;
  return { files, folders, isComplete, hasChanged };
}

/** When a name in a folder came or went last; undefined: nobody says. */
export function namesChangedAt(folder: string): bigint | undefined {
  try {
    return statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  } catch (error) {
    // It may not be looked at: reading it will say so.
    if (errorCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** Undefined: it cannot be read. */
function namesIn(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    if (errorCode(error) !== undefined) return undefined;
    throw error;
  }
}
