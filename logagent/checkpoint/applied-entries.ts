import { ENTRIES_MAX } from "../../conf/parse-collect-config.ts";

/** The entries that run now, and as many of before. */
export const APPLIED_ENTRIES_MAX = 2 * ENTRIES_MAX;

/** Which entries were ever applied, by their `path`, and when last. Of too many, those that were applied longest ago are forgotten. */
export class AppliedEntries {
  /** Oldest first; milliseconds since the Unix epoch. */
  readonly #atMs: Map<string, number>;
  /** One copy for all tasks that a config starts. */
  #snapshot: ReadonlyMap<string, number> | undefined;

  constructor(entries: ReadonlyMap<string, number>) {
    this.#atMs = new Map([...entries].sort(([, a], [, b]) => a - b));
  }

  has(entryPath: string): boolean {
    return this.#atMs.has(entryPath);
  }

  atMs(entryPath: string): number | undefined {
    return this.#atMs.get(entryPath);
  }

  /** All of them; what is applied from now on is not in it. */
  all(): ReadonlyMap<string, number> {
    this.#snapshot ??= new Map(this.#atMs);
    return this.#snapshot;
  }

  mark(entryPath: string, nowMs: number): void {
    this.#atMs.delete(entryPath);
    this.#atMs.set(entryPath, nowMs);
    this.#snapshot = undefined;
    for (const oldest of this.#atMs.keys()) {
      if (this.#atMs.size <= APPLIED_ENTRIES_MAX) break;
      this.#atMs.delete(oldest);
    }
  }
}
