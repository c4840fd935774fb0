import { type Dirent, readdirSync, statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { Glob } from "./glob.ts";

/** Paths that one entry may match. */
export const FILES_PER_ENTRY_MAX = 100_000;
/** Folders that one scan of an entry reads. */
export const FOLDERS_PER_SCAN_MAX = 20_000;
const DEPTH_MAX = 64;
/** The event loop gets its turn after so many folders or names. */
const NAMES_PER_TURN = 2_000;

export interface FoundFiles {
  /** In the order of the patterns, then by name; not yet looked at: they may be anything, also gone. */
  readonly paths: readonly string[];
  /** Folders that could not be read and limits that were reached, as sentences. */
  readonly problems: readonly string[];
  /** The folders that were read, and would show a new file. */
  readonly folders: readonly string[];
}

/**
 * Paths that match the patterns now. Folders that are not there (yet) hold nothing. Symbolic links to folders are followed
 * where the pattern names one level, not by `**`, so that loops end. Rejects with the signal's reason.
 */
export async function findFiles(
  globs: readonly Glob[],
  options: { readonly signal: AbortSignal },
): Promise<FoundFiles> {
  const walk = new Walk(options.signal);
  for (const glob of globs) {
    if (glob.isLiteral) walk.addLiteral(glob.literalPrefix);
    else await walk.descend(glob.literalPrefix, glob, literalDepth(glob));
  }
  return { paths: [...walk.paths], problems: [...walk.problems], folders: [...walk.folders] };
}

function literalDepth(glob: Glob): number {
  return glob.segments.findIndex((segment) => segment.kind !== "literal");
}

class Walk {
  readonly paths = new Set<string>();
  readonly problems = new Set<string>();
  readonly folders = new Set<string>();
  readonly #signal: AbortSignal;
  #names = 0;
  #foldersRead = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  addLiteral(path: string): void {
    this.paths.add(path);
    this.folders.add(path.slice(0, path.lastIndexOf("/")) || "/");
  }

  async descend(folder: string, glob: Glob, at: number): Promise<void> {
    const segment = glob.segments[at];
    if (segment === undefined || !this.#mayGoOn(folder)) return;
    if (segment.kind === "literal") return this.#step(child(folder, segment.name), glob, at);
    if (segment.kind === "any-depth") await this.descend(folder, glob, at + 1);
    for (const entry of this.#read(folder)) {
      if (++this.#names % NAMES_PER_TURN === 0) await this.#giveTurn();
      const path = child(folder, entry.name);
      if (segment.kind === "any-depth") {
        if (entry.isDirectory() && !entry.name.startsWith(".")) await this.descend(path, glob, at);
        else if (at === glob.segments.length - 1 && !entry.name.startsWith(".")) this.#add(path);
      } else if (segment.matches(entry.name)) await this.#step(path, glob, at, entry);
    }
  }

  async #step(path: string, glob: Glob, at: number, entry?: Dirent): Promise<void> {
    if (at === glob.segments.length - 1) {
      if (entry?.isDirectory() !== true) this.#add(path);
    } else if (entry === undefined || entry.isDirectory() || isLinkToFolder(entry, path)) {
      await this.descend(path, glob, at + 1);
    }
  }

  async #giveTurn(): Promise<void> {
    await nextTurn();
    this.#signal.throwIfAborted();
  }

  #add(path: string): void {
    if (this.paths.size < FILES_PER_ENTRY_MAX) this.paths.add(path);
    else this.problems.add(`Cannot ship every file: more than ${FILES_PER_ENTRY_MAX} paths match`);
  }

  #mayGoOn(folder: string): boolean {
    if (folder.split("/").length > DEPTH_MAX) return false;
    if (this.#foldersRead < FOLDERS_PER_SCAN_MAX) return true;
    this.problems.add(
      `Cannot look into every folder: the pattern leads to more than ${FOLDERS_PER_SCAN_MAX}`,
    );
    return false;
  }

  #read(folder: string): readonly Dirent[] {
    this.#foldersRead += 1;
    this.folders.add(folder);
    try {
      return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      const code = errorCode(error);
      if (code !== "ENOENT" && code !== "ENOTDIR") {
        this.problems.add(`Cannot read folder ${folder}: ${errorMessage(error)}`);
      }
      return [];
    }
  }
}

function child(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}

function isLinkToFolder(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return false;
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    // A loop of links, or a folder that may not be entered, leads nowhere.
    if (errorCode(error) !== undefined) return false;
    throw error;
  }
}
