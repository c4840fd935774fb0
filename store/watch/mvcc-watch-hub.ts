import { invariant } from "../../base/invariant.ts";
import { type KeyRange, keyRange } from "../mvcc/key-range.ts";
import type { Change } from "../mvcc/types.ts";
import { EncodedChange, TargetEvents, type Wanted } from "./event-encoding.ts";
import { type Target, TargetSet } from "./target-set.ts";
import type { EventBatch, History, Watcher, WatchHub, WatchOutlet, WatchOutput, WatchSpec } from "./types.ts";

/** History that one step of catching up reads: a few milliseconds. A revision larger than it is read as a whole. */
const STEP_LIMITS = { changesMax: 500, bytesMax: 1024 * 1024 };
/** Watchers that one step moves forward: what it costs is at most this times the changes read. */
const STEP_WATCHERS_MAX = 250;
/** Watchers moved from one group to another, and told of a revision, between two yields: a few milliseconds. */
const WATCHERS_A_STEP = 500;
/** Changes matched with watchers between two yields: a few milliseconds. */
const CHANGES_A_STEP = 500;

/** One watcher. `nextRevision` is the first whose events it has not been given; exact unless it is synced. */
class HubWatcher {
  readonly range: KeyRange;
  readonly startRevision: number;
  readonly wanted: Wanted;
  readonly outlet: WatchOutlet;
  nextRevision: number;
  isOver = false;

  constructor(spec: WatchSpec, outlet: WatchOutlet, newestRevision: number) {
    this.range = keyRange(spec.key, spec.rangeEnd);
    this.startRevision = spec.startRevision;
    this.wanted = spec;
    this.outlet = outlet;
    this.nextRevision = spec.startRevision > 0 ? spec.startRevision : newestRevision + 1;
  }
}

/**
 * The watchers of one member, in three groups (etcd mvcc/watchable_store.go): synced ones are told of each revision as it
 * is applied; unsynced ones are read their history in steps; slow ones wait until their outlet has room, and then catch
 * up. A watcher is in one group, and each event reaches it through one of them.
 */
export class MvccWatchHub implements WatchHub {
  readonly #history: History;
  readonly #synced = new TargetSet<HubWatcher>();
  /** In the order of their turns. */
  readonly #unsynced = new Set<HubWatcher>();
  readonly #slow = new Set<HubWatcher>();
  /** The newest revision that it was told of: a gap would lose events of every synced watcher, without a word. */
  #notifiedRevision: number;
  /** Some synced watcher has not been told of that revision yet. */
  #isTelling = false;
  #catchingUp: Generator<undefined, void> | undefined;
  /** Its history is being replaced: nobody is synced, nobody catches up. */
  #isSuspended = false;
  #onBehind: () => void = () => undefined;

  constructor(history: History) {
    this.#history = history;
    this.#notifiedRevision = history.revision;
  }

  get counts(): WatchHub["counts"] {
    return { synced: this.#synced.size, unsynced: this.#unsynced.size, slow: this.#slow.size };
  }

  watch(spec: WatchSpec, outlet: WatchOutlet): Watcher {
    const watcher = new HubWatcher(spec, outlet, this.#history.revision);
    this.#place(watcher);
    const isSynced = () =>
      !this.#isTelling && this.#synced.has(watcher) && watcher.startRevision <= this.#history.revision;
    return {
      resume: () => {
        if (this.#slow.delete(watcher)) this.#place(watcher);
      },
      get synced() {
        return isSynced();
      },
      tellProgress: () => isSynced() && outlet.offer({ kind: "progress", revision: this.#history.revision }),
      cancel: () => this.#end(watcher),
    };
  }

  /**
   * Tells the synced watchers of the revision that has just been applied: all its changes, in order; none: no revision. In
   * steps, before the last of which there is no other revision. A watcher that becomes synced meanwhile asks for later ones,
   * or has read this one from history.
   */
  *notify(changes: readonly Change[]): Generator<undefined, void> {
    const revision = changes[0]?.revision;
    if (revision === undefined) return;
    const isNext = revision === this.#notifiedRevision + 1 && revision === this.#history.revision;
    if (!isNext) invariant(false, `revision ${revision} follows ${this.#notifiedRevision} and is the newest`);
    this.#notifiedRevision = revision;
    if (this.#synced.size === 0) return;
    this.#isTelling = true;
    for (const [target, events] of yield* this.#match(this.#synced, changes)) {
      const outputs = new Map<EventBatch, WatchOutput>();
      for (const [i, watcher] of [...target.watchers].entries()) {
        if (i > 0 && i % WATCHERS_A_STEP === 0) yield;
        if (!this.#synced.has(watcher) || watcher.nextRevision > revision) continue;
        const batch = yield* events.batch(revision, watcher.wanted);
        if (batch === undefined) continue;
        const output: WatchOutput = outputs.get(batch) ?? { kind: "events", batches: [batch] };
        outputs.set(batch, output);
        if (!watcher.outlet.offer(output)) this.#setAside(watcher, revision);
      }
    }
    this.#isTelling = false;
  }

  onBehind(listener: () => void): void {
    this.#onBehind = listener;
  }

  /** For when history is about to be replaced: nothing is read from it from now on; the steps make every watcher wait. */
  suspend(): Generator<undefined, void> {
    this.#isSuspended = true;
    this.#catchingUp?.return();
    this.#catchingUp = undefined;
    return this.#unsyncAll();
  }

  /** History has been replaced by one that goes on from it: watchers catch up from where they are. */
  resume(): void {
    const { revision } = this.#history;
    invariant(
      revision >= this.#notifiedRevision,
      `the new history, up to revision ${revision}, has what watchers were told of, up to ${this.#notifiedRevision}`,
    );
    this.#notifiedRevision = revision;
    this.#isSuspended = false;
    if (this.#unsynced.size > 0) this.#onBehind();
  }

  catchUpStep(): boolean {
    const [first] = this.#unsynced;
    if (this.#isSuspended) return false;
    if (this.#catchingUp !== undefined) this.#goOnCatchingUp(this.#catchingUp);
    else if (first === undefined) return false;
    else if (first.nextRevision > this.#history.revision) {
      this.#unsynced.delete(first);
      this.#synced.add(first);
    } else if (first.nextRevision < this.#history.compactRevision) this.#tellCompacted(first);
    else this.#goOnCatchingUp(this.#readHistory(first.nextRevision));
    return this.#catchingUp !== undefined || this.#unsynced.size > 0;
  }

  #goOnCatchingUp(steps: Generator<undefined, void>): void {
    this.#catchingUp = steps.next().done === true ? undefined : steps;
  }

  *#unsyncAll(): Generator<undefined, void> {
    let moved = 0;
    for (const watcher of [...this.#synced]) {
      // Cancelled between two steps.
      if (watcher.isOver) continue;
      this.#synced.delete(watcher);
      // What it has been told of is not written down while it is synced.
      watcher.nextRevision = Math.max(watcher.nextRevision, this.#notifiedRevision + 1);
      this.#unsynced.add(watcher);
      moved += 1;
      if (moved % WATCHERS_A_STEP === 0) yield;
    }
  }

  /** Into the group that its next revision asks for; one that is compacted is told so by the next step. */
  #place(watcher: HubWatcher): void {
    const isSynced = watcher.nextRevision > this.#history.revision && !this.#isSuspended;
    if (isSynced) this.#synced.add(watcher);
    else this.#unsynced.add(watcher);
  }

  #end(watcher: HubWatcher): void {
    watcher.isOver = true;
    this.#synced.delete(watcher);
    this.#unsynced.delete(watcher);
    this.#slow.delete(watcher);
  }

  /** Its outlet is full: nothing from `nextRevision` on has been taken. */
  #setAside(watcher: HubWatcher, nextRevision: number): void {
    if (watcher.isOver) return;
    watcher.nextRevision = nextRevision;
    this.#synced.delete(watcher);
    this.#unsynced.delete(watcher);
    this.#slow.add(watcher);
  }

  #tellCompacted(watcher: HubWatcher): void {
    const { compactRevision } = this.#history;
    if (watcher.outlet.offer({ kind: "compacted", compactRevision })) this.#end(watcher);
    else this.#setAside(watcher, watcher.nextRevision);
  }

  /**
   * Reads on from a revision, for the unsynced watchers that are somewhere on this part of history; the others have their own
   * turn. Those that have not caught up go to the end of the queue.
   */
  *#readHistory(from: number): Generator<undefined, void> {
    const { changes, through } = yield* this.#history.history(from, STEP_LIMITS);
    const readers = new TargetSet<HubWatcher>();
    for (const watcher of this.#unsynced) {
      if (watcher.nextRevision >= from && watcher.nextRevision <= through) readers.add(watcher);
      if (readers.size === STEP_WATCHERS_MAX) break;
    }
    const batches = yield* this.#batchesFor(readers, changes);
    for (const watcher of readers) {
      if (!this.#unsynced.has(watcher)) continue;
      const own = batches.get(watcher);
      if (own !== undefined && !watcher.outlet.offer({ kind: "events", batches: own })) {
        this.#setAside(watcher, watcher.nextRevision);
      } else if (this.#unsynced.has(watcher)) {
        this.#unsynced.delete(watcher);
        watcher.nextRevision = through + 1;
        this.#place(watcher);
      }
    }
  }

  *#batchesFor(
    readers: TargetSet<HubWatcher>,
    changes: readonly Change[],
  ): Generator<undefined, ReadonlyMap<HubWatcher, EventBatch[]>> {
    const batches = new Map<HubWatcher, EventBatch[]>();
    for (const [revision, ofRevision] of Map.groupBy(changes, (change) => change.revision)) {
      for (const [target, events] of yield* this.#match(readers, ofRevision)) {
        for (const watcher of target.watchers) {
          if (watcher.nextRevision > revision) continue;
          const batch = yield* events.batch(revision, watcher.wanted);
          if (batch === undefined) continue;
          const own = batches.get(watcher);
          if (own === undefined) batches.set(watcher, [batch]);
          else own.push(batch);
        }
      }
    }
    return batches;
  }

  /** The targets that changes of one revision concern, with the events of each. */
  *#match(
    watchers: TargetSet<HubWatcher>,
    changes: readonly Change[],
  ): Generator<undefined, ReadonlyMap<Target<HubWatcher>, TargetEvents>> {
    const matched = new Map<Target<HubWatcher>, TargetEvents>();
    for (const [i, change] of changes.entries()) {
      if (i > 0 && i % CHANGES_A_STEP === 0) yield;
      let encoded: EncodedChange | undefined;
      watchers.visit(change.key, (target) => {
        encoded ??= new EncodedChange(change, this.#history);
        let events = matched.get(target);
        if (events === undefined) {
          events = new TargetEvents();
          matched.set(target, events);
        }
        events.add(encoded);
      });
    }
    return matched;
  }
}
