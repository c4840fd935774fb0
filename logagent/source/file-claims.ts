import { compileGlob, type Glob, matchesAny } from "./glob.ts";

interface Claimant {
  readonly path: string;
  readonly globs: readonly Glob[];
}

/** Answers kept by path; dropped whole when it is full or the order changes. */
const OWNER_CACHE_MAX = 200_000;

/**
 * Which entry ships a file, for all tasks of an agent: each file ships once. By path, the first entry in config order
 * whose pattern matches; by identity (device and inode of a held descriptor), the task that holds it, so that a hard link or
 * a rename never makes two tasks ship one file. Entries are named by their `path`, unique within a config.
 */
export class FileClaims {
  /** By the path of the entry, in config order. */
  #order: ReadonlyMap<string, Claimant> = new Map();
  readonly #owners = new Map<string, string | undefined>();
  readonly #holders = new Map<string, object>();

  /** Sets the order. The supervisor calls it with the `path` of every entry, before it starts or stops tasks for a config. */
  setOrder(paths: readonly string[]): void {
    const known = this.#order;
    this.#order = new Map(paths.map((path) => [path, known.get(path) ?? { path, globs: compileGlob(path) }]));
    this.#owners.clear();
  }

  /** Puts an entry last, unless it has its place. */
  add(path: string): void {
    if (!this.#order.has(path)) this.setOrder([...this.#order.keys(), path]);
  }

  /** The `path` of the entry that a file at `path` belongs to. */
  ownerOf(path: string): string | undefined {
    if (this.#owners.has(path)) return this.#owners.get(path);
    const owner = this.#find(path);
    if (this.#owners.size >= OWNER_CACHE_MAX) this.#owners.clear();
    this.#owners.set(path, owner);
    return owner;
  }

  #find(path: string): string | undefined {
    for (const claimant of this.#order.values()) {
      if (matchesAny(claimant.globs, path)) return claimant.path;
    }
    return undefined;
  }

  isHeldByOther(key: string, holder: object): boolean {
    const current = this.#holders.get(key);
    return current !== undefined && current !== holder;
  }

  /** Takes the file for `holder`; false when another holds it. */
  take(key: string, holder: object): boolean {
    if (this.isHeldByOther(key, holder)) return false;
    this.#holders.set(key, holder);
    return true;
  }

  /** Gives the file back; does nothing when `holder` does not hold it. */
  release(key: string, holder: object): void {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
  }
}
