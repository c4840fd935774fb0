import { ENTRIES_MAX } from "../../conf/parse-collect-config.ts";
import { APPLIED_ENTRIES_MAX } from "../checkpoint/applied-entries.ts";
import type { CheckpointRecord, FileIdentity } from "../checkpoint/record.ts";
import { compileGlob, type Glob, matchesAny } from "./glob.ts";
import { keyOf } from "./tailed-file.ts";

interface Claim {
  readonly holder: object;
  /** Tells a file from one that had its inode before. */
  readonly birthtimeNs: bigint | undefined;
}

interface Claimant {
  readonly path: string;
  readonly globs: readonly Glob[];
}

/** Compiled patterns kept: of all entries, and of all that are remembered of configs before. Dropped whole when there are more. */
const PATTERNS_MAX = ENTRIES_MAX + APPLIED_ENTRIES_MAX;
/** Answers kept by path; dropped whole when it is full or the order changes. */
const OWNER_CACHE_MAX = 200_000;

/**
 * Which entry ships a file, for all tasks of an agent: each file ships once. By path, the first entry in config order
 * whose pattern matches; by identity (device and inode of a held descriptor), the task that holds it, so that a hard link or
 * a rename never makes two tasks ship one file. Entries are named by their `path`, unique within a config.
 */
export class FileClaims {
  #orders = 0;
  /** By the path of the entry, in config order. */
  #order: ReadonlyMap<string, Claimant> = new Map();
  readonly #patterns = new Map<string, readonly Glob[]>();
  readonly #owners = new Map<string, string | undefined>();
  readonly #claims = new Map<string, Claim>();

  /** Sets the order. The supervisor calls it with the `path` of every entry, before it starts or stops tasks for a config. */
  setOrder(paths: readonly string[]): void {
    this.#order = new Map(paths.map((path) => [path, { path, globs: this.globsOf(path) }]));
    this.#owners.clear();
    this.#orders += 1;
  }

  /** How often the order was set. */
  get orders(): number {
    return this.#orders;
  }

  /** Puts an entry last, unless it has its place. */
  add(path: string): void {
    if (!this.#order.has(path)) this.setOrder([...this.#order.keys(), path]);
  }

  /** The patterns of an entry, whether it is in the config or not. */
  globsOf(path: string): readonly Glob[] {
    const known = this.#patterns.get(path);
    if (known !== undefined) return known;
    const globs = compileGlob(path);
    if (this.#patterns.size >= PATTERNS_MAX) this.#patterns.clear();
    this.#patterns.set(path, globs);
    return globs;
  }

  /** The `path` of the entry that a file at `path` belongs to. */
  ownerOf(path: string): string | undefined {
    if (this.#owners.has(path)) return this.#owners.get(path);
    const owner = this.#find(path);
    if (this.#owners.size >= OWNER_CACHE_MAX) this.#owners.clear();
    this.#owners.set(path, owner);
    return owner;
  }

  /** The `path` of an entry, while there is that entry. */
  known(entry: string): string | undefined {
    return this.#order.get(entry)?.path;
  }

  #find(path: string): string | undefined {
    for (const claimant of this.#order.values()) {
      if (matchesAny(claimant.globs, path)) return claimant.path;
    }
    return undefined;
  }

  /**
   * The entry that goes on with a file which another one shipped so far; undefined: it stays. A file that came to its entry under
   * another name than the first stays as long as there is that entry.
   */
  heirOf({ path, entry }: Pick<CheckpointRecord, "path" | "entry">): string | undefined {
    const claimant = this.#order.get(entry);
    if (claimant !== undefined && !matchesAny(claimant.globs, path)) return undefined;
    const owner = this.ownerOf(path);
    return owner === entry ? undefined : owner;
  }

  isHeldByOther(key: string, holder: object): boolean {
    const claim = this.#claims.get(key);
    return claim !== undefined && claim.holder !== holder;
  }

  /** Does another task hold what a record is about, the file or what was unpacked? */
  isContentHeldByOther(record: CheckpointRecord, holder: object): boolean {
    const key = keyOf(record);
    if (this.isHeldByOther(record.id, holder)) return true;
    return this.isHeldByOther(key, holder) && this.#claims.get(key)?.birthtimeNs === record.birthtimeNs;
  }

  /** Takes the file for `holder`; false when another holds it. */
  take(file: FileIdentity, holder: object): boolean {
    return this.#take(keyOf(file), { holder, birthtimeNs: file.birthtimeNs });
  }

  /** Takes what was unpacked, which has no name; its record stands for it. False when another holds it. */
  takeUnpacked({ id }: CheckpointRecord, holder: object): boolean {
    return this.#take(id, { holder, birthtimeNs: undefined });
  }

  /** Gives a file, by its key, or what was unpacked, by the id of its record, back; does nothing when `holder` does not hold it. */
  release(key: string, holder: object): void {
    if (this.#claims.get(key)?.holder === holder) this.#claims.delete(key);
  }

  #take(key: string, claim: Claim): boolean {
    if (this.isHeldByOther(key, claim.holder)) return false;
    this.#claims.set(key, claim);
    return true;
  }
}
