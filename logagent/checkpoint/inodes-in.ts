import { type Dirent, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorCode } from "../../base/errors.ts";
import { readFolder } from "../../base/read-folder.ts";

/** The event loop gets its turn after so many names. */
const NAMES_PER_TURN = 1_000;
/** Names of one folder that are looked at: each of a regular file is kept. */
export const NAMES_PER_FOLDER_MAX = 100_000;

/** Names that come, go or change while a folder is read make it be read so many times; then what was found has to do. */
const TRIES_MAX = 3;

export interface FoundInode {
  readonly path: string;
  readonly dev: bigint;
  readonly birthtimeNs: bigint;
  /** In the same folder: hard links, and symbolic ones to it. */
  readonly otherPaths?: readonly string[];
}

export interface FolderInodes {
  /** Regular files, by inode. */
  readonly files: ReadonlyMap<bigint, FoundInode>;
  /** The paths of folders in it. */
  readonly folders: readonly string[];
  /** False: the folder or a name in it could not be looked at, or has too many, so that a file that is not in `files` may be there. */
  readonly isComplete: boolean;
}

/** Where files are looked for, as far as that may be touched: FolderIndex, which asks the mounts. */
export interface Folders {
  look(folder: string): Promise<FolderInodes>;
}

/**
 * The files of a folder, under whatever name. A folder that is not there has none. It is read again while names change under
 * the eye: a file may have gone from a name that was not yet looked at to one that was, or that was not there.
 */
export async function inodesIn(folder: string, options: LookOptions = {}): Promise<FolderInodes> {
  for (let tries = 1; ; tries += 1) {
    const { hasChanged, ...inodes } = await readOnce(folder, options);
    if (!hasChanged || tries === TRIES_MAX) return inodes;
  }
}

export interface LookOptions {
  /** Asked before a symbolic link is looked behind; absent: each may be. */
  readonly mayFollow?: (path: string) => boolean;
  /** NAMES_PER_FOLDER_MAX unless told. */
  readonly namesMax?: number;
}

async function readOnce(
  folder: string,
  { mayFollow, namesMax = NAMES_PER_FOLDER_MAX }: LookOptions,
): Promise<FolderInodes & { readonly hasChanged: boolean }> {
  const files = new Map<bigint, FoundInode>();
  const folders: string[] = [];
  let hasChanged = false;
  const changedNs = namesChangedAt(folder);
  const names = await namesIn(folder, namesMax);
  if (names === undefined) return { files, folders, isComplete: false, hasChanged };
  let isComplete = names.length <= namesMax;
  for (const [index, entry] of names.slice(0, namesMax).entries()) {
    if (index % NAMES_PER_TURN === NAMES_PER_TURN - 1) await nextTurn();
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink() && mayFollow?.(path) === false) continue;
    // Not looked at by itself: another file system may be mounted there, and may hang.
    if (entry.isDirectory()) folders.push(path);
    if (entry.isDirectory()) continue;
    try {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats?.isFile()) files.set(stats.ino, foundAgain(files.get(stats.ino), path, stats));
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

function foundAgain(
  known: FoundInode | undefined,
  path: string,
  { dev, birthtimeNs }: Pick<FoundInode, "dev" | "birthtimeNs">,
): FoundInode {
  if (known?.dev !== dev || known.birthtimeNs !== birthtimeNs) return { path, dev, birthtimeNs };
  return { ...known, otherPaths: [...(known.otherPaths ?? []), path] };
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
async function namesIn(folder: string, namesMax: number): Promise<readonly Dirent[] | undefined> {
  const names: Dirent[] = [];
  try {
    for await (const entries of readFolder(folder)) {
      names.push(...entries);
      if (names.length > namesMax) break;
    }
    return names;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    if (errorCode(error) !== undefined) return undefined;
    throw error;
  }
}
