import assert from "node:assert/strict";
import type { OpenedStateMachine } from "../../../store/apply/types.ts";
import { Event, Event_EventType } from "../../../store/proto/gen/kv.ts";
import type { Watcher, WatchOutput } from "../../../store/watch/types.ts";
import { fromKeyValue, keyOf, type ModelEvent, type ModelStore, revisionOf } from "../mvcc/model.ts";
import { bytes } from "./state-bed.ts";

export interface ModelWatchSpec {
  readonly key: string;
  /** etcd's convention. */
  readonly rangeEnd: string;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

/** A client that watches: takes what it is given while it has room, and watches again where it was after a crash. */
export class ModelWatcher {
  readonly #spec: ModelWatchSpec;
  readonly #model: ModelStore;
  /** Everything below has been seen, or was compacted before it could be. */
  #next: number;
  #watcher: Watcher | undefined;
  #startedAt = 0;
  /** How many more outputs its buffer takes. */
  room = 0;
  told = 0;

  constructor(spec: ModelWatchSpec, model: ModelStore, startRevision: number) {
    this.#spec = spec;
    this.#model = model;
    this.#next = startRevision > 0 ? startRevision : model.revision + 1;
  }

  connect(opened: OpenedStateMachine): void {
    const { key, rangeEnd, ...wanted } = this.#spec;
    const spec = {
      ...wanted,
      key: bytes(key),
      rangeEnd: bytes(rangeEnd),
      startRevision: this.#next,
    };
    this.#startedAt = this.#next;
    this.#watcher = opened.watchHub.watch(spec, { offer: (output) => this.#offer(output) });
  }

  get isConnected(): boolean {
    return this.#watcher !== undefined;
  }

  cancel(): void {
    this.#watcher?.cancel();
    this.#watcher = undefined;
  }

  makeRoom(outputs: number): void {
    this.room = outputs;
    this.#watcher?.resume();
  }

  /** Everything that it should have seen by now, it has. */
  assertCaughtUp(): void {
    const isAhead = this.#startedAt > this.#model.revision;
    assert.equal(this.#watcher?.synced, !isAhead, "the watcher is synced, unless its start is still to come");
    this.#assertNothingLeft("no event is left that it was not told of");
  }

  #offer(output: WatchOutput): boolean {
    assert.ok(this.isConnected, "nothing is offered after cancel()");
    if (this.room === 0) return false;
    this.room -= 1;
    if (output.kind === "compacted") {
      assert.equal(output.compactRevision, this.#model.compactRevision);
      assert.ok(this.#next < output.compactRevision, "told of a compaction that concerns it");
      this.#next = output.compactRevision;
      this.#watcher = undefined;
      return true;
    }
    if (output.kind === "progress") {
      this.#assertNothingLeft("progress is told with nothing left");
      return true;
    }
    for (const { revision, events } of output.batches) this.#take(revision, events);
    return true;
  }

  /** The batch must be the whole of the next revision that has an event for it, but for what compaction may have dropped. */
  #take(revision: number, events: readonly Uint8Array[]): void {
    const all = this.#expected(this.#next);
    const missed = all.filter((event) => revisionOf(event) < revision && !this.#mayBeGone(event));
    assert.deepEqual(missed, [], `nothing is left out before revision ${revision}`);
    const whole = all.filter((event) => revisionOf(event) === revision);
    const kept = whole.filter((event) => !this.#mayBeGone(event));
    assert.ok(whole.length > 0, `an event is expected at ${revision}`);
    const expected = events.length === whole.length ? whole : kept;
    assert.equal(events.length, expected.length, `revision ${revision} is told as a whole`);
    events.forEach((event, i) => {
      this.#assertEvent(Event.decode(Buffer.from(event)), expected[i] as ModelEvent);
    });
    this.#next = revision + 1;
    this.told += events.length;
  }

  #assertNothingLeft(message: string): void {
    const left = this.#expected(this.#next).filter((event) => !this.#mayBeGone(event));
    assert.deepEqual(left, [], message);
  }

  /** A compaction keeps, of a key's changes in one revision, the last. */
  #mayBeGone(event: ModelEvent): boolean {
    const revision = revisionOf(event);
    if (revision > this.#model.compactRevision) return false;
    const ofKey = this.#model
      .eventsFrom(revision)
      .filter((other) => revisionOf(other) === revision && keyOf(other) === keyOf(event));
    return ofKey.at(-1) !== event;
  }

  #assertEvent(event: Event, expected: ModelEvent): void {
    assert.equal(event.type, expected.kind === "put" ? Event_EventType.PUT : Event_EventType.DELETE);
    assert.ok(event.kv !== undefined);
    const kv = fromKeyValue(event.kv);
    if (expected.kind === "put") assert.deepEqual(kv, expected.kv);
    else assert.deepEqual([kv.key, kv.modRevision, kv.version], [expected.key, expected.revision, 0]);
    if (event.prevKv !== undefined) {
      assert.equal(this.#spec.prevKv, true);
      assert.deepEqual(fromKeyValue(event.prevKv), expected.previous);
    } else if (this.#spec.prevKv && expected.previous !== undefined) {
      const isRecreated = expected.kind === "put" && expected.kv.version === 1;
      const isCompacted = revisionOf(expected) - 1 < this.#model.compactRevision;
      assert.ok(isCompacted || isRecreated, "prevKv is left out only when there is none");
    }
  }

  #expected(from: number): ModelEvent[] {
    const { key, rangeEnd, noPut, noDelete } = this.#spec;
    return this.#model.eventsFrom(from).filter((event) => {
      if (event.kind === "put" ? noPut : noDelete) return false;
      const at = keyOf(event);
      if (rangeEnd === "") return at === key;
      return at >= key && (rangeEnd === "\0" || at < rangeEnd);
    });
  }
}
