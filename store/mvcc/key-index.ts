import { invariant } from "../../base/invariant.ts";
import type { Revision } from "./revision.ts";

/** What the index knows of a key at a revision: the change that made it so, and its KeyValue's counters. */
export interface KeyState extends Revision {
  readonly createRevision: number;
  readonly version: number;
}

/** One life of a key: from its creation to its deletion, whose revision is then the last of `revisions`. */
interface Generation {
  /** Changes in this life, those already compacted included. */
  version: number;
  /** 0 when only the deletion is still known. */
  readonly createRevision: number;
  /** Main and sub of each change that is kept, alternating, in order. */
  revisions: number[];
}

/**
 * The kept revisions of one key, by lives (etcd mvcc, keyIndex). Except the last generation, every one ends with a
 * deletion; the last one is empty while the key is deleted.
 */
export class KeyIndex {
  readonly key: string;
  #modifiedMain = 0;
  #modifiedSub = 0;
  #generations: Generation[] = [];

  constructor(key: string) {
    this.key = key;
  }

  /** The index of a key whose earliest kept record is a put: it tells how many came before. */
  static restored(key: string, state: KeyState): KeyIndex {
    const index = new KeyIndex(key);
    const { main, sub, createRevision, version } = state;
    index.#generations = [{ version, createRevision, revisions: [main, sub] }];
    index.#modifiedMain = main;
    index.#modifiedSub = sub;
    return index;
  }

  /** The index of a key whose earliest kept record is a deletion. */
  static restoredTombstone(key: string, { main, sub }: Revision): KeyIndex {
    const index = KeyIndex.restored(key, { main, sub, createRevision: 0, version: 1 });
    index.#generations = [...index.#generations, emptyGeneration()];
    return index;
  }

  put(main: number, sub: number): void {
    if (main < this.#modifiedMain || (main === this.#modifiedMain && sub <= this.#modifiedSub)) {
      invariant(false, `revision ${main}.${sub} is above ${this.#modifiedMain}.${this.#modifiedSub}`);
    }
    const last = this.#generations.at(-1);
    if (last === undefined || last.revisions.length === 0) this.#beginLife(main, sub);
    else {
      last.revisions.push(main, sub);
      last.version += 1;
    }
    this.#modifiedMain = main;
    this.#modifiedSub = sub;
  }

  /** Ends the key's life; false, and nothing changes, when it is deleted already. */
  tombstone(main: number, sub: number): boolean {
    if (this.#generations.at(-1)?.revisions.length === 0) return false;
    this.put(main, sub);
    this.#generations = [...this.#generations, emptyGeneration()];
    return true;
  }

  /** The key's state at a revision; undefined when it did not exist. */
  at(revision: number): KeyState | undefined {
    const generation = this.#generationAt(revision);
    if (generation === undefined) return undefined;
    const position = lastAtOrBelow(generation.revisions, revision);
    if (position === -1) return undefined;
    const later = generation.revisions.length / 2 - position - 1;
    return {
      ...revisionAt(generation.revisions, position),
      createRevision: generation.createRevision,
      version: generation.version - later,
    };
  }

  /** Forgets what no read at or above `revision` can see. A deletion at exactly `revision` is kept (etcd ≥ 3.5.16). */
  compact(revision: number): void {
    const { first, position } = this.#keptFrom(revision);
    this.#generations = this.#generations.slice(first);
    const generation = this.#generations[0];
    if (generation !== undefined && position > 0) {
      generation.revisions = generation.revisions.slice(position * 2);
    }
  }

  /** The change at or below `revision` that a compaction there keeps; undefined: none. */
  retainedAt(revision: number): (Revision & { readonly tombstone: boolean }) | undefined {
    const { first, position } = this.#keptFrom(revision);
    const revisions = this.#generations[first]?.revisions ?? [];
    if (position === -1) return undefined;
    const tombstone = first !== this.#generations.length - 1 && position === revisions.length / 2 - 1;
    return { ...revisionAt(revisions, position), tombstone };
  }

  has({ main, sub }: Revision): boolean {
    return this.#generations.some(({ revisions }) => {
      for (let i = lastAtOrBelow(revisions, main) * 2; i >= 0 && revisions[i] === main; i -= 2) {
        if (revisions[i + 1] === sub) return true;
      }
      return false;
    });
  }

  /** Nothing is kept: the key can leave the index. */
  get isEmpty(): boolean {
    return this.#generations.length === 1 && this.#generations[0]?.revisions.length === 0;
  }

  /** The kept revisions, a list for each life, for tests and for comparing two indexes. */
  describe(): readonly { readonly version: number; readonly revisions: readonly Revision[] }[] {
    return this.#generations.map(({ version, revisions }) => ({
      version,
      revisions: Array.from({ length: revisions.length / 2 }, (_, i) => revisionAt(revisions, i)),
    }));
  }

  /** Takes the place of the empty generation that the last deletion left. Literals, because push() reserves 16 more. */
  #beginLife(main: number, sub: number): void {
    const ended = this.#generations.length === 0 ? [] : this.#generations.slice(0, -1);
    this.#generations = [...ended, { version: 1, createRevision: main, revisions: [main, sub] }];
  }

  #generationAt(revision: number): Generation | undefined {
    const lastIndex = this.#generations.length - 1;
    for (let i = lastIndex; i >= 0; i--) {
      const generation = this.#generations[i] as Generation;
      const { revisions } = generation;
      if (revisions.length === 0) continue;
      if (i !== lastIndex && (revisions.at(-2) as number) <= revision) return undefined;
      if ((revisions[0] as number) <= revision) return generation;
    }
    return undefined;
  }

  /** The generation and the position in it from which on a compaction at `revision` keeps; -1: all of the generation. */
  #keptFrom(revision: number): { readonly first: number; readonly position: number } {
    let first = 0;
    while (first < this.#generations.length - 1) {
      const ended = this.#generations[first]?.revisions.at(-2) as number;
      if (ended >= revision) break;
      first += 1;
    }
    return { first, position: lastAtOrBelow(this.#generations[first]?.revisions ?? [], revision) };
  }
}

function emptyGeneration(): Generation {
  return { version: 0, createRevision: 0, revisions: [] };
}

function revisionAt(revisions: readonly number[], position: number): Revision {
  return { main: revisions[position * 2] as number, sub: revisions[position * 2 + 1] as number };
}

/** Position of the last pair with a main revision at or below `revision`; -1: none. The last one is asked for most. */
function lastAtOrBelow(revisions: readonly number[], revision: number): number {
  let low = 0;
  let high = revisions.length / 2;
  if (high > 0 && (revisions[high * 2 - 2] as number) <= revision) return high - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((revisions[middle * 2] as number) <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
