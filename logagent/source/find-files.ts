import { type Dirent, lstatSync, statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { systemClock } from "../../base/clock.ts";
import { errorCode, errorMessage } from "../../base/errors.ts";
import { systemLater } from "../../base/later.ts";
import { readFolder } from "../../base/read-folder.ts";
import { sortInSteps } from "../../base/sort-in-steps.ts";
import { runInSlices } from "../../base/steps.ts";
import type { Glob, Segment } from "./glob.ts";
import type { MountRefusal, MountTable } from "./mount-table.ts";

/** Paths that one entry may match. */
export const FILES_PER_ENTRY_MAX = 100_000;
/** Folders that one scan of an entry reads. */
export const FOLDERS_PER_SCAN_MAX = 20_000;
const DEPTH_MAX = 64;
/** The event loop gets its turn after so many names. */
const NAMES_PER_TURN = 2_000;

const inSlices = runInSlices({ clock: systemClock, later: systemLater });

export interface FoundFiles {
  /** In the order of the patterns, then by name; not yet looked at: they may be anything, also gone. */
  readonly paths: readonly string[];
  /** Folders that could not be read and limits that were reached, as sentences: there may be more paths than these. */
  readonly problems: readonly string[];
  /** What the patterns lead to and is not looked at on purpose, as sentences. */
  readonly refusals: readonly string[];
  /** The folders that were read, and would show a new file. */
  readonly folders: readonly string[];
}

export interface WalkOptions {
  readonly signal: AbortSignal;
  readonly mounts: MountTable;
  /** FILES_PER_ENTRY_MAX unless told. */
  readonly filesMax?: number;
  /** FOLDERS_PER_SCAN_MAX unless told. */
  readonly foldersMax?: number;
}

/**
 * Paths that match the patterns now. Folders that are not there (yet) hold nothing. Symbolic links to folders are followed
 * where the pattern names one level, not by `**`, so that loops end. Rejects with the signal's reason.
 */
export async function findFiles(globs: readonly Glob[], options: WalkOptions): Promise<FoundFiles> {
  const walk = new Walk(options);
  for (const glob of globs) {
    if (glob.isLiteral) walk.addLiteral(glob.literalPrefix);
    else await walk.descend(glob.literalPrefix, glob, literalDepth(glob));
  }
  return {
    paths: [...walk.paths],
    problems: [...walk.problems],
    refusals: [...walk.refusals],
    folders: [...walk.folders],
  };
}

function literalDepth(glob: Glob): number {
  return glob.segments.findIndex((segment) => segment.kind !== "literal");
}

class Walk {
  readonly paths = new Set<string>();
  readonly problems = new Set<string>();
  readonly refusals = new Set<string>();
  readonly folders = new Set<string>();
  readonly #signal: AbortSignal;
  readonly #mounts: MountTable;
  readonly #filesMax: number;
  readonly #foldersMax: number;
  #foldersRead = 0;
  #isFull = false;

  constructor({ signal, mounts, filesMax, foldersMax }: WalkOptions) {
    this.#signal = signal;
    this.#mounts = mounts;
    this.#filesMax = filesMax ?? FILES_PER_ENTRY_MAX;
    this.#foldersMax = foldersMax ?? FOLDERS_PER_SCAN_MAX;
  }

  addLiteral(path: string): void {
    const refusal = this.#mounts.refusalBehind(path);
    if (refusal !== undefined) this.#refuse(path, refusal);
    else {
      this.paths.add(path);
      this.folders.add(path.slice(0, path.lastIndexOf("/")) || "/");
    }
  }

  async descend(folder: string, glob: Glob, at: number): Promise<void> {
    const segment = glob.segments[at];
    if (segment === undefined || !this.#mayGoOn(folder, glob)) return;
    if (segment.kind === "literal") return this.#step(child(folder, segment.name), glob, at);
    if (segment.kind === "any-depth") await this.descend(folder, glob, at + 1);
    const isLast = at === glob.segments.length - 1;
    for (const [index, entry] of (await this.#read(folder, { segment, isLast })).entries()) {
      if (index % NAMES_PER_TURN === NAMES_PER_TURN - 1) await this.#giveTurn();
      const path = child(folder, entry.name);
      if (isMisread(entry, path)) this.#cannotName(path, { entry, segment, isLast });
      else if (segment.kind === "wild") await this.#step(path, glob, at, entry);
      else if (entry.isDirectory()) await this.descend(path, glob, at);
      else this.#add(path, entry);
    }
  }

  async #step(path: string, glob: Glob, at: number, entry?: Dirent): Promise<void> {
    if (at === glob.segments.length - 1) {
      if (entry?.isDirectory() !== true) this.#add(path, entry);
    } else if (entry === undefined || entry.isDirectory() || this.#isLinkToFolder(entry, path)) {
      await this.descend(path, glob, at + 1);
    }
  }

  async #giveTurn(): Promise<void> {
    await nextTurn();
    this.#signal.throwIfAborted();
  }

  #add(path: string, entry: Dirent | undefined): void {
    // A literal name may be that of a link as well.
    const isPlain = entry !== undefined && !entry.isSymbolicLink();
    const refusal = isPlain ? this.#mounts.refusalAt(path) : this.#mounts.refusalBehind(path);
    if (refusal !== undefined) this.#refuse(path, refusal);
    else if (this.paths.size < this.#filesMax) this.paths.add(path);
    else this.#full();
  }

  #full(): void {
    this.#isFull = true;
    this.problems.add(`Cannot ship every file: more than ${this.#filesMax} paths match`);
  }

  #cannotName(
    path: string,
    {
      entry,
      segment,
      isLast,
    }: { readonly entry: Dirent; readonly segment: Segment; readonly isLast: boolean },
  ): void {
    const why = "its name is not valid UTF-8, expected a name of characters";
    if (!entry.isDirectory()) {
      if (isLast) this.problems.add(`Cannot ship ${path}: ${why}`);
    } else if (!isLast || segment.kind === "any-depth") this.problems.add(`Cannot look into ${path}: ${why}`);
  }

  #tooManyFolders(): void {
    this.problems.add(`Cannot look into every folder: the pattern leads to more than ${this.#foldersMax}`);
  }

  #refuse(path: string, { why }: MountRefusal): void {
    this.refusals.add(`Cannot read ${path}: ${why}`);
  }

  #mayGoOn(folder: string, glob: Glob): boolean {
    if (this.#isFull) return false;
    if (folder.split("/").length > DEPTH_MAX) {
      this.problems.add(`Cannot look into ${folder}: it is more than ${DEPTH_MAX} folders deep`);
      return false;
    }
    const refusal = this.#mounts.refusalBehind(folder);
    // A pattern that also leads into /proc is no mistake; one that begins there is.
    if (refusal?.kind === "network" || (refusal !== undefined && folder === glob.literalPrefix)) {
      this.#refuse(folder, refusal);
    }
    if (refusal !== undefined) return false;
    if (this.#foldersRead < this.#foldersMax) return true;
    this.#tooManyFolders();
    return false;
  }

  /** What in a folder may lead to a match, by name, and no more of it than the limits allow. */
  async #read(
    folder: string,
    { segment, isLast }: { readonly segment: Segment; readonly isLast: boolean },
  ): Promise<readonly Dirent[]> {
    this.#foldersRead += 1;
    this.folders.add(folder);
    const limit = isLast ? this.#filesMax : this.#foldersMax;
    const found: Dirent[] = [];
    try {
      for await (const entries of readFolder(folder)) {
        this.#signal.throwIfAborted();
        for (const entry of entries) if (leadsOn(entry, segment, isLast)) found.push(entry);
        if (found.length <= limit) continue;
        if (isLast) this.#full();
        else this.#tooManyFolders();
        break;
      }
    } catch (error) {
      this.#signal.throwIfAborted();
      const code = errorCode(error);
      if (code !== "ENOENT" && code !== "ENOTDIR") {
        this.problems.add(`Cannot read folder ${folder}: ${errorMessage(error)}`);
      }
    }
    return await inSlices(sortInSteps(found, (a, b) => (a.name < b.name ? -1 : 1)));
  }

  #isLinkToFolder(entry: Dirent, path: string): boolean {
    if (!entry.isSymbolicLink()) return false;
    // Whoever descends into it says so.
    if (this.#mounts.refusalBehind(path) !== undefined) return true;
    try {
      return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    } catch (error) {
      // A loop of links, or a folder that may not be entered, leads nowhere.
      if (errorCode(error) !== undefined) return false;
      throw error;
    }
  }
}

function leadsOn(entry: Dirent, segment: Segment, isLast: boolean): boolean {
  if (segment.kind === "wild") return segment.matches(entry.name);
  return !entry.name.startsWith(".") && (isLast || entry.isDirectory());
}

/** Node reads what is no UTF-8 in a name as U+FFFD, and then there is nothing of that name; a name may have one in earnest. */
function isMisread(entry: Dirent, path: string): boolean {
  if (!entry.name.includes("\ufffd")) return false;
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    // A folder that shows its names and may not be entered: whoever opens the file says so.
    if (errorCode(error) !== undefined) return false;
    throw error;
  }
}

function child(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}
