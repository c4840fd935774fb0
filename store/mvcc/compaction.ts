import { latin1FromBytes } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { type CompactionHash, CompactionHasher } from "./compaction-hash.ts";
import { EVERY_KEY, type KeyRange } from "./key-range.ts";
import { readPage } from "./record-page.ts";
import { decodeRevisionKey, encodeMainRevision, encodeRevisionKey } from "./revision.ts";
import type { TreeIndex } from "./tree-index.ts";

const KEYS_A_STEP = 2000;
/** Hashes of finished compactions that are kept, the newest ones (etcd mvcc/hash.go). */
const HASHES_MAX = 10;

const SCHEDULED_KEY = Buffer.from("scheduledCompactRev");
const FINISHED_KEY = Buffer.from("finishedCompactRev");

type IndexPhase = {
  readonly kind: "index";
  readonly target: number;
  readonly rest: KeyRange;
  readonly hasher: CompactionHasher;
};
type RecordsPhase = {
  readonly kind: "records";
  readonly target: number;
  readonly cursor: Buffer;
  readonly hasher: CompactionHasher;
};
type Phase = IndexPhase | RecordsPhase;

/**
 * Forgets old revisions in small steps: first in the index, then, record by record, in the backend whatever the index no
 * longer has. A decision is recorded when it is made, and recorded as finished after its last record went; a restart
 * between the two begins again. A decision that comes while one is carried out waits for it.
 */
export class Compaction {
  readonly #index: TreeIndex;
  readonly #backend: Backend;
  #scheduled: number;
  #finished: number;
  #phase: Phase | undefined;
  /** A restart interrupted it: some of its records are gone unhashed. */
  #isResumed: boolean;
  #hashes: readonly CompactionHash[] = [];

  constructor(parts: { readonly index: TreeIndex; readonly backend: Backend }) {
    this.#index = parts.index;
    this.#backend = parts.backend;
    this.#scheduled = readMeta(parts.backend, SCHEDULED_KEY);
    this.#finished = readMeta(parts.backend, FINISHED_KEY);
    this.#isResumed = this.#scheduled > this.#finished;
  }

  /** Of the compactions that this object carried out from beginning to end, at most {@link HASHES_MAX}, the newest last. */
  get hashes(): readonly CompactionHash[] {
    return this.#hashes;
  }

  /** The newest decision; -1: none. Reads below it are refused. */
  get revision(): number {
    return Math.max(this.#scheduled, this.#finished);
  }

  schedule(revision: number): void {
    this.#scheduled = revision;
    this.#backend.put("meta", SCHEDULED_KEY, encodeRevisionKey(revision, 0, false));
  }

  /** What the next step compacts at; undefined when there is nothing to do. */
  get target(): number | undefined {
    if (this.#phase !== undefined) return this.#phase.target;
    return this.#scheduled > this.#finished ? this.#scheduled : undefined;
  }

  /** Does a bounded part of the work; false when none is left. */
  step(): boolean {
    const { target } = this;
    if (target === undefined) return false;
    this.#phase ??= {
      kind: "index",
      target,
      rest: EVERY_KEY,
      hasher: new CompactionHasher(this.#finished),
    };
    switch (this.#phase.kind) {
      case "index":
        this.#phase = this.#compactKeys(this.#phase);
        break;
      case "records":
        this.#phase = this.#deleteRecords(this.#phase);
        break;
      default:
        this.#phase satisfies never;
    }
    return this.target !== undefined;
  }

  #compactKeys({ target, rest, hasher }: IndexPhase): Phase {
    const emptied: string[] = [];
    const next = this.#index.visit(rest, KEYS_A_STEP, (keyIndex) => {
      if (keyIndex.retainedAt(target) !== undefined) hasher.noteKept();
      keyIndex.compact(target);
      if (keyIndex.isEmpty) emptied.push(keyIndex.key);
      return undefined;
    });
    for (const key of emptied) this.#index.delete(key);
    if (next !== undefined) return { kind: "index", target, rest: next, hasher };
    return { kind: "records", target, cursor: encodeMainRevision(0), hasher };
  }

  #deleteRecords({ target, cursor, hasher }: RecordsPhase): Phase | undefined {
    const end = encodeMainRevision(target + 1);
    const { pairs, rest } = readPage(this.#backend, cursor, end);
    for (const pair of pairs) {
      const at = decodeRevisionKey(pair.key);
      const isKept = this.#index.get(latin1FromBytes(KeyValue.decode(pair.value).key))?.has(at) ?? false;
      hasher.add(pair, at, isKept);
      if (!isKept) this.#backend.delete("key", pair.key);
    }
    if (rest !== undefined) return { kind: "records", target, cursor: rest, hasher };
    if (!this.#isResumed) this.#hashes = [...this.#hashes, hasher.at(target)].slice(-HASHES_MAX);
    this.#isResumed = false;
    this.#finished = target;
    this.#backend.put("meta", FINISHED_KEY, encodeRevisionKey(target, 0, false));
    return undefined;
  }
}

function readMeta(backend: Backend, key: Buffer): number {
  const record = backend.get("meta", key);
  return record === undefined ? -1 : decodeRevisionKey(record).main;
}
