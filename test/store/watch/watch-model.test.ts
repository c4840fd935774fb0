import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Random, seededRandom } from "../../../base/random.ts";
import type { WatchOutput } from "../../../store/watch/types.ts";
import { outputTexts, Received, type SpecText, specOf, WatchBed, type Write } from "./watch-bed.ts";

const SEEDS = 300;
const STEPS = 250;
/** Few, so that they meet; with the bytes at both ends of the order. */
const KEYS = ["\0", "a", "a\0", "a\xff", "b", "ba", "c", "\xff", "\xff\xff"];
const TO_THE_END = "\0";

suite("MvccWatchHub under random load", () => {
  test("each watcher gets the events of the model, in order, once, by whole revisions", () => {
    const seen: Record<string, number> = {};
    for (let seed = 1; seed <= SEEDS; seed += 1) new ModelRun(seed, seen).live();
    // The test is worth something only if these happened.
    for (const kind of ["events", "progress", "compacted", "refused", "previous", "previous compacted"]) {
      assert.ok((seen[kind] ?? 0) > 100, `${kind}: ${seen[kind]}`);
    }
  });
});

interface KeyState {
  readonly value: string;
  readonly created: number;
  readonly modified: number;
  readonly version: number;
}

/** A change as the model has it: the key's state after it (undefined: deleted) and before it. */
interface ModelChange {
  readonly revision: number;
  readonly key: string;
  readonly after: KeyState | undefined;
  readonly before: KeyState | undefined;
}

/** A watcher, and how far the model has followed it. */
interface Follower {
  readonly spec: SpecText;
  readonly received: Received;
  /** Every event below it has been given, for all that was seen from outside. */
  sureNext: number;
  hasEnded: boolean;
}

class ModelRun {
  readonly #seed: number;
  readonly #seen: Record<string, number>;
  readonly #random: Random;
  readonly #bed = new WatchBed();
  readonly #state = new Map<string, KeyState>();
  readonly #changes: ModelChange[] = [];
  #followers: Follower[] = [];

  constructor(seed: number, seen: Record<string, number>) {
    this.#seed = seed;
    this.#seen = seen;
    this.#random = seededRandom(seed * 7919);
  }

  live(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.#act();
      this.#observe();
    }
    for (const { received } of this.#followers) {
      received.room = Number.POSITIVE_INFINITY;
      received.watcher?.resume();
    }
    this.#bed.catchUp();
    this.#observe();
    for (const follower of this.#followers) {
      if (!follower.hasEnded) this.#requireComplete(follower);
    }
  }

  #act(): void {
    const dice = this.#random.next();
    if (dice < 0.45) this.#write();
    else if (dice < 0.57) this.#watch();
    else if (dice < 0.6) this.#cancel();
    else if (dice < 0.75) this.#bed.hub.catchUpStep();
    else if (dice < 0.85) this.#makeRoom();
    else if (dice < 0.92) this.#tellProgress();
    else if (dice < 0.95) this.#compact();
    else this.#bed.store.compactStep();
  }

  #write(): void {
    const revision = this.#bed.store.revision + 1;
    const writes: Write[] = [];
    const touched = new Set<string>();
    const count = this.#random.next() < 0.6 ? 1 : this.#below(6);
    for (let i = 0; i < count; i += 1) {
      const key = this.#pick(KEYS);
      if (touched.has(key)) continue;
      if (this.#random.next() < 0.65) {
        const value = `${revision}`;
        writes.push({ put: key, value });
        touched.add(key);
        this.#modelPut(revision, key, value);
      } else {
        const end = this.#random.next() < 0.5 ? undefined : this.#pick(KEYS);
        const inside = (other: string) => (end === undefined ? other === key : other >= key && other < end);
        // A transaction does not touch a key twice.
        if ([...touched].some(inside)) continue;
        writes.push(end === undefined ? { delete: key } : { delete: key, end });
        for (const other of KEYS.filter(inside)) {
          touched.add(other);
          this.#modelDelete(revision, other);
        }
      }
    }
    this.#bed.write(...writes);
    const changed = this.#changes.at(-1)?.revision === revision;
    assert.equal(this.#bed.store.revision, changed ? revision : revision - 1, this.#at("revision"));
  }

  #modelPut(revision: number, key: string, value: string): void {
    const before = this.#state.get(key);
    const { created = revision, version = 0 } = before ?? {};
    const after = { value, created, modified: revision, version: version + 1 };
    this.#state.set(key, after);
    this.#changes.push({ revision, key, after, before });
  }

  #modelDelete(revision: number, key: string): void {
    const before = this.#state.get(key);
    if (before === undefined) return;
    this.#state.delete(key);
    this.#changes.push({ revision, key, after: undefined, before });
  }

  #watch(): void {
    const { revision } = this.#bed.store;
    const key = this.#pick(KEYS);
    const ends = [undefined, TO_THE_END, ...KEYS.filter((end) => end > key)];
    const end = this.#pick(ends);
    const startRevision = this.#startRevision();
    const spec: SpecText = {
      key,
      ...(end === undefined ? {} : { end }),
      startRevision,
      prevKv: this.#random.next() < 0.5,
      noPut: this.#random.next() < 0.15,
      noDelete: this.#random.next() < 0.15,
    };
    const received = new Received();
    if (this.#random.next() < 0.5) received.room = this.#below(4);
    const sureNext = startRevision === 0 ? revision + 1 : startRevision;
    const follower: Follower = { spec, received, sureNext, hasEnded: false };
    received.onOutput = (output) => this.#check(follower, output);
    received.watcher = this.#bed.hub.watch(specOf(spec), received);
    this.#followers.push(follower);
  }

  /** From now on, from the oldest revision that is kept, or from any, those of the future included. */
  #startRevision(): number {
    const { compactRevision, revision } = this.#bed.store;
    const dice = this.#random.next();
    if (dice < 0.3) return 0;
    return dice < 0.5 ? Math.max(0, compactRevision) : this.#below(revision + 8);
  }

  #cancel(): void {
    const follower = this.#pick(this.#followers);
    if (follower === undefined) return;
    follower.received.watcher?.cancel();
    follower.hasEnded = true;
  }

  #makeRoom(): void {
    const follower = this.#pick(this.#followers);
    if (follower === undefined) return;
    const { received } = follower;
    received.room = this.#random.next() < 0.3 ? Number.POSITIVE_INFINITY : 1 + this.#below(3);
    received.watcher?.resume();
  }

  #tellProgress(): void {
    const follower = this.#pick(this.#followers);
    const told = follower?.received.watcher?.tellProgress();
    if (told === true) assert.ok(follower?.received.synced, this.#at("progress is told to synced watchers"));
  }

  #compact(): void {
    const { compactRevision, revision } = this.#bed.store;
    const target = compactRevision + 1 + this.#below(revision - compactRevision);
    if (target > 0 && target <= revision) this.#bed.store.compact(target);
  }

  /** What the hub says of each watcher from outside, and of their number. */
  #observe(): void {
    const { revision } = this.#bed.store;
    this.#followers = this.#followers.filter(({ hasEnded }) => !hasEnded);
    let synced = 0;
    for (const follower of this.#followers) {
      const isInFuture = (follower.spec.startRevision ?? 0) > revision;
      if (follower.received.synced) this.#requireComplete(follower);
      if (follower.received.synced || isInFuture) synced += 1;
      assert.ok(!(follower.received.synced && isInFuture), this.#at("a watcher of the future is not synced"));
      this.#count("refused", follower.received.refusals);
      follower.received.refusals = 0;
    }
    const { counts } = this.#bed.hub;
    assert.equal(counts.synced, synced, this.#at("synced watchers"));
    const total = counts.synced + counts.unsynced + counts.slow;
    assert.equal(total, this.#followers.length, this.#at("watchers"));
  }

  /** Checks an output when it is given: what is expected next depends on what is compacted now. */
  #check(follower: Follower, output: WatchOutput): void {
    const { compactRevision, revision } = this.#bed.store;
    assert.ok(!follower.hasEnded, this.#at(`${output.kind} after the end`));
    this.#count(output.kind, 1);
    switch (output.kind) {
      case "events": {
        const last = output.batches.at(-1)?.revision ?? 0;
        for (const [i, batch] of output.batches.entries()) {
          const before = output.batches[i - 1]?.revision ?? 0;
          assert.ok(batch.revision > before, this.#at("one batch for a revision, in order"));
        }
        const expected = this.#eventsBetween(follower.spec, follower.sureNext, last);
        assert.ok(expected.length > 0, this.#at(`events up to ${last} from ${follower.sureNext}`));
        assert.deepEqual(outputTexts(output), expected, this.#at(JSON.stringify(follower.spec)));
        follower.sureNext = last + 1;
        break;
      }
      case "progress":
        assert.equal(output.revision, revision, this.#at("progress"));
        this.#requireComplete(follower);
        break;
      case "compacted":
        assert.equal(output.compactRevision, compactRevision, this.#at("compacted"));
        assert.ok(
          compactRevision > follower.sureNext,
          this.#at("only a watcher that is behind is compacted"),
        );
        follower.hasEnded = true;
        break;
      default:
        output satisfies never;
    }
  }

  /** The watcher has every event up to the store's revision. */
  #requireComplete(follower: Follower): void {
    const { revision } = this.#bed.store;
    const missing = this.#eventsBetween(follower.spec, follower.sureNext, revision);
    assert.deepEqual(missing, [], this.#at(`missed by ${JSON.stringify(follower.spec)}`));
    follower.sureNext = Math.max(follower.sureNext, revision + 1);
  }

  #eventsBetween(spec: SpecText, from: number, through: number): readonly string[] {
    const { compactRevision } = this.#bed.store;
    const texts: string[] = [];
    for (const change of this.#changes) {
      const { revision, after, before } = change;
      if (revision < from || revision > through || !isWanted(spec, change)) continue;
      const text = after === undefined ? `delete ${change.key}` : `put ${stateText(change.key, after)}`;
      const hasPrevious = spec.prevKv === true && before !== undefined;
      const keepsPrevious = hasPrevious && revision - 1 >= compactRevision;
      if (hasPrevious) this.#count(keepsPrevious ? "previous" : "previous compacted", 1);
      texts.push(`${revision} ${text}${keepsPrevious ? ` was ${stateText(change.key, before)}` : ""}`);
    }
    return texts;
  }

  #count(kind: string, times: number): void {
    this.#seen[kind] = (this.#seen[kind] ?? 0) + times;
  }

  #at(what: string): string {
    return `seed ${this.#seed}, revision ${this.#bed.store.revision}: ${what}`;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

function isWanted({ key, end, noPut, noDelete }: SpecText, change: ModelChange): boolean {
  if (change.after === undefined ? noDelete : noPut) return false;
  if (end === undefined) return change.key === key;
  return change.key >= key && (end === TO_THE_END || change.key < end);
}

function stateText(key: string, { value, created, modified, version }: KeyState): string {
  return `${key}=${value} (${created}..${modified} v${version})`;
}
