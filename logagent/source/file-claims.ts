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
  #order: Claimant[] = [];
  readonly #owners = new Map<string, string | undefined>();
  readonly #holders = new Map<string, object>();

  /** Sets the order. The supervisor calls it with the `path` of every entry, before it starts or stops tasks for a config. */
  setOrder(paths: readonly string[]): void {
    const known = new Map(this.#order.map((claimant) => [claimant.path, claimant]));
    this.#order = paths.map((path) => known.get(path) ?? { path, globs: compileGlob(path) });
    this.#owners.clear();
  }

  /** Puts an entry last, unless it has its place. */
  add(path: string): void {
    if (this.#order.some((claimant) => claimant.path === path)) return;
    this.#order.push({ path, globs: compileGlob(path) });
    this.#owners.clear();
  }

  /** Takes an entry out; its files belong to the next one that matches. */
  remove(path: string): void {
    this.#order = this.#order.filter((claimant) => claimant.path !== path);
    this.#owners.clear();
  }

  /** The `path` of the entry that a file at `path` belongs to. */
  ownerOf(path: string): string | undefined {
    if (this.#owners.has(path)) return this.#owners.get(path);
    const owner = this.#order.find((claimant) => matchesAny(claimant.globs, path))?.path;
    if (this.#owners.size >= OWNER_CACHE_MAX) this.#owners.clear();
    this.#owners.set(path, owner);
    return owner;
  }

  /** Files that are held now, by all tasks. */
  get held(): number {
    return this.#holders.size;
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
