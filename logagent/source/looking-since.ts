import type { Entry } from "../../conf/collect-config.ts";
import { RECORD_KEEP_MS } from "../checkpoint/long-gone.ts";
import type { FileClaims } from "./file-claims.ts";
import { type Glob, GlobError, matchesAny } from "./glob.ts";
import type { TailDeps } from "./types.ts";

interface Applied {
  readonly globs: readonly Glob[];
  readonly atMs: number;
}

const NONE: ReadonlyMap<string, number> = new Map();

export interface LookingSinceParts {
  readonly entry: Pick<Entry, "path" | "from">;
  readonly deps: Pick<TailDeps, "checkpoints" | "claims" | "clock">;
}

/**
 * Since when whatever was at a path, and was seen there, has left a record, as far as records are kept: what has left a path without
 * one since then was seen by nobody. That is since its entry was applied first, or by the life of the agent before this one; where the
 * entry is new, since an entry was that had the path before. All in milliseconds since the Unix epoch.
 */
export class LookingSince {
  readonly #parts: LookingSinceParts;
  /** As it was when the config came: others of it are applied while this entry waits for its first scan. */
  #appliedBefore: ReadonlyMap<string, number>;
  #predecessors: readonly Applied[] | undefined;
  #ownMs: number | undefined;

  constructor(parts: LookingSinceParts) {
    this.#parts = parts;
    const { entry, deps } = parts;
    this.#ownMs = deps.checkpoints.appliedAtMs(entry.path);
    // With `from: end` it leaves out what was there before it.
    const isHeir = this.#ownMs === undefined && entry.from === "beginning";
    this.#appliedBefore = isHeir ? deps.checkpoints.appliedEntries() : NONE;
  }

  /** No path has been looked at for longer; undefined: nobody has looked yet. */
  get earliestMs(): number | undefined {
    return this.#earliest(this.#overlapping());
  }

  at(path: string): number | undefined {
    return this.#earliest(this.#overlapping().filter(({ globs }) => matchesAny(globs, path)));
  }

  #earliest(predecessors: readonly Applied[]): number | undefined {
    const { entry, deps } = this.#parts;
    // As the first scan has set it; another one may set it again.
    this.#ownMs ??= deps.checkpoints.appliedAtMs(entry.path);
    const times = predecessors.map(({ atMs }) => atMs);
    if (this.#ownMs !== undefined) times.push(this.#ownMs);
    if (times.length === 0) return undefined;
    return Math.max(Math.min(...times), deps.clock.wallMs() - RECORD_KEEP_MS);
  }

  /** The entries of before that may match what this one does. */
  #overlapping(): readonly Applied[] {
    this.#predecessors ??= this.#findOverlapping();
    this.#appliedBefore = NONE;
    return this.#predecessors;
  }

  #findOverlapping(): readonly Applied[] {
    const { entry, deps } = this.#parts;
    const mine = deps.claims.globsOf(entry.path);
    return [...this.#appliedBefore]
      .map(([path, atMs]) => ({ globs: globsOfBefore(path, deps.claims), atMs }))
      .filter(({ globs }) => globs.some((one) => mine.some((other) => mayOverlap(one, other))));
  }
}

/** None of a pattern that an older agent took and this one refuses. */
function globsOfBefore(path: string, claims: FileClaims): readonly Glob[] {
  try {
    return claims.globsOf(path);
  } catch (error) {
    if (error instanceof GlobError) return [];
    throw error;
  }
}

function mayOverlap({ literalPrefix: a }: Glob, { literalPrefix: b }: Glob): boolean {
  return a.startsWith(b) || b.startsWith(a);
}
