import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorCode } from "../../base/errors.ts";

/** The event loop gets its turn after so many names. */
const NAMES_PER_TURN = 1_000;

/** Names that go away while a folder is read make it be read so many times; then what was found has to do. */
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
 * The files of a folder, under whatever name. A folder that is not there has none. It is read again while names go away under
 * the eye, for the file of such a name may have another one by now.
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
  return { files, folders, isComplete, hasChanged };
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
