import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { KeptEntries, RaftStatus } from "../../../store/raft/types.ts";
import { Flusher } from "../../../store/replica/flusher.ts";
import { turns } from "./replica-bed.ts";

/** A state whose flushes end when the test says so, a core that forgets what it is told to, and a log that is cut. */
class Bed {
  readonly events: string[] = [];
  readonly errors: unknown[] = [];
  readonly flusher: Flusher;
  appliedByState = 10;
  appliedInCore = 10;
  flushedIndex = 0;
  #flushing: PromiseWithResolvers<void> | undefined;

  constructor() {
    const bed = this;
    this.flusher = new Flusher({
      state: {
        get flushedIndex() {
          return bed.flushedIndex;
        },
        flush: () => this.#flush(),
      },
      core: {
        get status(): RaftStatus {
          return { applied: bed.appliedInCore } as RaftStatus;
        },
        compact: (index: number, keep: KeptEntries) => {
          this.events.push(`compact ${index} keeping ${keep.entries}, ${keep.bytes} B`);
          return index - keep.entries;
        },
      },
      wal: { cut: async (index) => void this.events.push(`cut ${index}`) },
      limits: { flushBytes: 1000, flushMs: 100, unflushedBytes: 5000, keptEntries: 3, keptBytes: 77 },
      onError: (error) => this.errors.push(error),
    });
  }

  /** What happened since the last call. */
  take(): readonly string[] {
    return this.events.splice(0);
  }

  async finish(error?: Error): Promise<void> {
    const flushing = this.#flushing;
    this.#flushing = undefined;
    assert.ok(flushing !== undefined, "a flush is under way");
    if (error === undefined) flushing.resolve();
    else flushing.reject(error);
    await turns(1);
  }

  async #flush(): Promise<void> {
    assert.equal(this.#flushing, undefined, "one flush at a time");
    const index = this.appliedByState;
    this.events.push(`flush ${index}`);
    this.#flushing = Promise.withResolvers();
    await this.#flushing.promise;
    this.flushedIndex = index;
  }
}

const CUT = ["compact 10 keeping 3, 77 B", "cut 7"];

suite("Flusher", () => {
  test("flushIfDue() begins by bytes, or by the age of the oldest change, and then lets go of the log", async () => {
    const bed = new Bed();
    bed.flusher.flushIfDue(1e6);
    bed.flusher.changed(999, 50);
    bed.flusher.changed(0, 120);
    bed.flusher.flushIfDue(149);
    assert.deepEqual(bed.take(), []);
    bed.flusher.flushIfDue(150);
    assert.deepEqual(bed.take(), ["flush 10"], "and not before the flush is done");
    await bed.finish();
    assert.deepEqual(bed.take(), CUT);
    bed.flusher.flushIfDue(1e6);
    assert.deepEqual(bed.take(), [], "nothing has changed");
    bed.flusher.changed(1000, 200);
    bed.flusher.flushIfDue(200);
    assert.deepEqual(bed.take(), ["flush 10"]);
    await bed.finish();
  });

  test("one flush is under way at a time, and what changes meanwhile is for the next", async () => {
    const bed = new Bed();
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    bed.flusher.changed(1000, 1);
    bed.flusher.flushIfDue(1);
    assert.deepEqual(bed.take(), ["flush 10"]);
    await bed.finish();
    bed.take();
    bed.flusher.flushIfDue(1);
    assert.deepEqual(bed.take(), ["flush 10"]);
    await bed.finish();
  });

  test("isBehind counts what is being flushed until it is", async () => {
    const bed = new Bed();
    bed.flusher.changed(3000, 0);
    bed.flusher.flushIfDue(0);
    bed.flusher.changed(2000, 0);
    assert.equal(bed.flusher.isBehind, false);
    bed.flusher.changed(1, 0);
    assert.equal(bed.flusher.isBehind, true);
    await bed.finish();
    assert.equal(bed.flusher.isBehind, false);
  });

  test("the log is let go of no further than the core knows to be applied", async () => {
    const bed = new Bed();
    bed.appliedByState = 50;
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    await bed.finish();
    assert.deepEqual(bed.take(), ["flush 50", ...CUT]);
  });

  test("holding() waits for the flush under way, and none begins before its work is done", async () => {
    const bed = new Bed();
    const work = Promise.withResolvers<void>();
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    const held = bed.flusher.holding(() => {
      bed.events.push("work");
      return work.promise;
    });
    await turns(1);
    assert.deepEqual(bed.take(), ["flush 10"]);
    bed.flusher.changed(1000, 1);
    await bed.finish();
    bed.flusher.flushIfDue(1);
    await turns(1);
    assert.deepEqual(bed.take(), [...CUT, "work"]);
    bed.flusher.flushIfDue(500);
    assert.deepEqual(bed.take(), []);
    work.resolve();
    await held;
    bed.flusher.flushIfDue(500);
    assert.deepEqual(bed.take(), ["flush 10"], "what changed before is not forgotten");
    await bed.finish();
  });

  test("holding() flushes again after work that failed", async () => {
    const bed = new Bed();
    const error = new Error("cannot install");
    await assert.rejects(
      bed.flusher.holding(() => Promise.reject(error)),
      error,
    );
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    assert.deepEqual(bed.take(), ["flush 10"]);
    await bed.finish();
  });

  test("an error ends it: it is told once, nothing is cut, and nothing is flushed any more", async () => {
    const bed = new Bed();
    const error = new Error("cannot flush");
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    await bed.finish(error);
    bed.flusher.changed(1000, 1);
    bed.flusher.flushIfDue(1000);
    assert.deepEqual([bed.take(), bed.errors], [["flush 10"], [error]]);
    await bed.flusher.settled();
  });

  test("flushAll() waits for the flush under way, and flushes once more", async () => {
    const bed = new Bed();
    bed.flusher.changed(1000, 0);
    bed.flusher.flushIfDue(0);
    const all = bed.flusher.flushAll();
    await bed.finish();
    assert.deepEqual(bed.take(), ["flush 10", ...CUT, "flush 10"]);
    await bed.finish();
    await all;
    assert.deepEqual(bed.take(), CUT);
  });
});
