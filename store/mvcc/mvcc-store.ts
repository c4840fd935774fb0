import { invariant } from "../../base/invariant.ts";
import { runAtOnce } from "../../base/steps.ts";
import { latin1FromBytes } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { StoreError } from "../proto/errors.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import type { RangeRequest } from "../proto/gen/rpc.ts";
import { Compaction } from "./compaction.ts";
import type { CompactionHash } from "./compaction-hash.ts";
import { hashRecords } from "./hash-kv.ts";
import type { KeyRange } from "./key-range.ts";
import { ReadPins } from "./read-pins.ts";
import { type RangeAnswer, readRange } from "./read-range.ts";
import { readRecord } from "./read-record.ts";
import { readPage } from "./record-page.ts";
import { restoreIndex } from "./restore-index.ts";
import { decodeRevisionKey, encodeMainRevision } from "./revision.ts";
import { type STOP, TreeIndex } from "./tree-index.ts";
import type { Change, LeaseBindings } from "./types.ts";
import { WriteTxn } from "./write-txn.ts";

/** Keys bound to leases, and looked at for a comparison, between two yields: a few milliseconds. */
const BINDINGS_A_STEP = 1000;
const FACTS_A_STEP = 500;

/** What a comparison of a transaction looks at, for one key. */
export interface KeyFacts {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Reads and decodes the record. */
  record(): KeyValue;
}

/** After how much a part of history ends, at the next revision. */
export interface HistoryLimits {
  readonly changesMax: number;
  readonly bytesMax: number;
}

export interface HistoryPart {
  readonly changes: readonly Change[];
  /** The last revision of which the changes are there. */
  readonly through: number;
}

/**
 * The keys and their history: an index in memory over records in the backend (etcd mvcc/kvstore.go). Reads are at a
 * revision, the newest unless said otherwise; writes go through one {@link WriteTxn} at a time.
 */
export class MvccStore {
  readonly #backend: Backend;
  readonly #leases: LeaseBindings;
  #index = new TreeIndex();
  #compaction: Compaction;
  #pins = new ReadPins();
  #revision = 1;

  /** Rebuilds the index from the backend, and binds keys to leases, which must be there already. */
  constructor(backend: Backend, leases: LeaseBindings) {
    this.#backend = backend;
    this.#leases = leases;
    this.#compaction = new Compaction({ index: this.#index, backend });
    runAtOnce(this.reload());
  }

  /**
   * Ends the reads that are under way: their next step throws InstallingSnapshot. For when the backend's content is about to be
   * replaced; reads and writes begin again after {@link reload}.
   */
  endReads(): void {
    this.#pins = new ReadPins();
    this.#index = new TreeIndex();
  }

  /**
   * Builds the index anew from the backend and binds keys to leases, which must be there already; in steps. Until the last
   * one the revision is the old one.
   */
  *reload(): Generator<undefined, void> {
    const { index, revision, leases } = yield* restoreIndex(this.#backend);
    let bound = 0;
    for (const [key, lease] of leases) {
      this.#leases.attach(lease, key);
      bound += 1;
      if (bound % BINDINGS_A_STEP === 0) yield;
    }
    const compaction = new Compaction({ index, backend: this.#backend });
    // The newest record outlives every compaction, also as a deletion: it tells the revision.
    invariant(compaction.revision <= revision, "no compaction is ahead of the records");
    this.#index = index;
    this.#compaction = compaction;
    this.#revision = revision;
  }

  /** Of the last write transaction; 1 in an empty store. */
  get revision(): number {
    return this.#revision;
  }

  /** Of the last compaction that was decided; -1: none. */
  get compactRevision(): number {
    return this.#compaction.revision;
  }

  /** Of the last compactions since this state was loaded, the newest last. */
  get compactionHashes(): readonly CompactionHash[] {
    return this.#compaction.hashes;
  }

  /**
   * `newest`, which is the store's revision or one that is kept, takes the place of `request.revision` <= 0. Throws
   * Compacted or FutureRev for any other one.
   */
  *range(request: RangeRequest, newest = this.#revision): Generator<undefined, RangeAnswer> {
    const revision = request.revision > 0 ? request.revision : newest;
    if (revision !== newest) this.#assertReadable(revision, newest);
    const parts = { index: this.#index, backend: this.#backend };
    return yield* this.keeping(revision, readRange(request, revision, parts));
  }

  /**
   * Runs reads in steps, all of them with the state at `revision` kept: a compaction decided meanwhile waits. Throws
   * InstallingSnapshot when the state is replaced in between.
   */
  *keeping<T>(revision: number, reads: Generator<undefined, T>): Generator<undefined, T> {
    const pins = this.#pins;
    pins.add(revision);
    try {
      for (;;) {
        const step = reads.next();
        if (step.done === true) return step.value;
        yield;
        if (pins !== this.#pins) throw new StoreError("InstallingSnapshot");
      }
    } finally {
      reads.return(undefined as never);
      pins.remove(revision);
    }
  }

  /** Throws Compacted or FutureRev unless a read at `revision` (0: newest) can be served. */
  assertReadable(revision: number): void {
    if (revision !== 0) this.#assertReadable(revision, this.#revision);
  }

  /**
   * The facts of each key in a range at a revision that is kept, in order and in steps; `visit` says STOP when it wants no
   * more.
   */
  *visitFacts(
    range: KeyRange,
    revision: number,
    visit: (facts: KeyFacts) => typeof STOP | undefined,
  ): Generator<undefined, void> {
    for (let rest: KeyRange | undefined = range; rest !== undefined; ) {
      if (rest !== range) yield;
      rest = this.#visitSomeFacts(rest, revision, visit);
    }
  }

  #visitSomeFacts(
    range: KeyRange,
    revision: number,
    visit: (facts: KeyFacts) => typeof STOP | undefined,
  ): KeyRange | undefined {
    return this.#index.visit(range, FACTS_A_STEP, (keyIndex) => {
      const state = keyIndex.at(revision);
      if (state === undefined) return undefined;
      const { main, createRevision, version } = state;
      const record = () => KeyValue.decode(readRecord(this.#backend, state));
      return visit({ createRevision, modRevision: main, version, record });
    });
  }

  /** The record of a key (latin1) at a revision; undefined when it did not exist then, or that is compacted. */
  recordAt(key: string, revision: number): Uint8Array | undefined {
    if (revision < this.compactRevision) return undefined;
    const state = this.#index.stateAt(key, revision);
    return state === undefined ? undefined : readRecord(this.#backend, state);
  }

  /**
   * The changes from revision `from` on, up to and with revision `through`: whole revisions, at least one where there is
   * one, and no further one begun above the limits. `from` is not compacted; in steps, during which it is not.
   */
  history(from: number, limits: HistoryLimits): Generator<undefined, HistoryPart> {
    return this.keeping(from, this.#history(from, limits));
  }

  *#history(from: number, limits: HistoryLimits): Generator<undefined, HistoryPart> {
    // What is behind it belongs to a revision that is being written.
    const newest = this.#revision;
    const end = encodeMainRevision(newest + 1);
    const changes: Change[] = [];
    let bytes = 0;
    let last = from;
    for (let cursor = encodeMainRevision(from); ; ) {
      const { pairs, rest } = readPage(this.#backend, cursor, end);
      for (const { key, value } of pairs) {
        const { main, tombstone } = decodeRevisionKey(key);
        const isFull = changes.length >= limits.changesMax || bytes >= limits.bytesMax;
        if (isFull && main !== last) return { changes, through: last };
        changes.push(changeOf(main, tombstone, value));
        bytes += value.byteLength;
        last = main;
      }
      if (rest === undefined) return { changes, through: newest };
      const isFull = changes.length >= limits.changesMax || bytes >= limits.bytesMax;
      if (isFull && !this.#hasMoreOf(last, rest)) return { changes, through: last };
      cursor = rest;
      yield;
    }
  }

  #hasMoreOf(revision: number, from: Uint8Array): boolean {
    const [pair] = this.#backend.range("key", from, encodeMainRevision(revision + 1), 1);
    return pair !== undefined;
  }

  /** HashKV at a revision (0: the newest); throws Compacted, FutureRev. */
  *hash(revision: number): Generator<undefined, { readonly hash: number; readonly revision: number }> {
    this.assertReadable(revision);
    const at = revision === 0 ? this.#revision : revision;
    const { compactRevision } = this;
    const parts = { index: this.#index, backend: this.#backend };
    // It reads the whole history down to there, not the state at one revision: any later compaction waits.
    const hash = yield* this.keeping(compactRevision, hashRecords({ revision: at, compactRevision }, parts));
    return { hash, revision: at };
  }

  /** Begins a write transaction, to be ended by {@link endWrite} before the next begins. */
  beginWrite(): WriteTxn {
    return new WriteTxn(this.#revision, {
      index: this.#index,
      backend: this.#backend,
      leases: this.#leases,
    });
  }

  /** Makes the transaction's changes the store's newest revision, when there are any, and returns them. */
  endWrite(txn: WriteTxn): readonly Change[] {
    invariant(txn.beginRevision === this.#revision, "write transactions do not overlap");
    this.#revision = txn.revision;
    return txn.changes;
  }

  /** Decides a compaction; {@link compactStep} carries it out. Throws Compacted, FutureRev. */
  compact(revision: number): void {
    if (revision <= this.compactRevision) throw new StoreError("Compacted");
    if (revision > this.#revision) throw new StoreError("FutureRev");
    this.#compaction.schedule(revision);
  }

  /** A bounded part of what compaction has to do; waits for reads below it. False when nothing is left. */
  compactStep(): boolean {
    const { target } = this.#compaction;
    if (target === undefined) return false;
    return this.#pins.below(target) || this.#compaction.step();
  }

  #assertReadable(revision: number, newest: number): void {
    if (revision > newest) throw new StoreError("FutureRev");
    if (revision < this.compactRevision) throw new StoreError("Compacted");
  }
}

function changeOf(revision: number, tombstone: boolean, record: Uint8Array): Change {
  const { key, createRevision, modRevision } = KeyValue.decode(record);
  const kind = tombstone ? "delete" : createRevision === modRevision ? "create" : "update";
  return { key: latin1FromBytes(key), revision, kind, record };
}
