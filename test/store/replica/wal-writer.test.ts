import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Entry, HardState, SnapshotMeta, Write } from "../../../store/raft/types.ts";
import { WalWriter } from "../../../store/replica/wal-writer.ts";

const CONF_STATE = { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** A round that is to be synced. */
function round(
  entries: readonly (readonly [index: number, term: number])[],
  more: Partial<Pick<Write, "hardState" | "snapshot" | "mustSync">> = {},
): Write {
  return {
    hardState: undefined,
    entries: entries.map(([index, term]) => ({ index, term, kind: "normal", data: Buffer.alloc(10) })),
    snapshot: undefined,
    mustSync: true,
    responses: [],
    upTo: undefined,
    term: 1,
    ...more,
  };
}

/** A round in which at most the commit moved. */
function idle(hardState?: HardState): Write {
  return round([], { hardState, mustSync: false });
}

function at(index: number): SnapshotMeta {
  return { index, term: 1, confState: CONF_STATE };
}

interface Batch {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
}

/** A log whose writes end when the test says so. */
class Bed {
  readonly batches: Batch[] = [];
  /** What was begun, in order: entries as "1 2", an installation as "install 5". */
  readonly begun: string[] = [];
  readonly installed: { readonly snapshot: SnapshotMeta; readonly hardState: HardState }[] = [];
  readonly persisted: (readonly Write[])[] = [];
  readonly errors: unknown[] = [];
  readonly writer: WalWriter;
  mayInstall = true;
  #pending: PromiseWithResolvers<void> | undefined;

  constructor(batchBytes = 1000) {
    this.writer = new WalWriter({
      wal: {
        append: (batch) => {
          this.batches.push(batch);
          return this.#begin(batch.entries.map(({ index }) => index).join(" "));
        },
      },
      batchBytes,
      mayInstall: () => this.mayInstall,
      install: (snapshot, hardState) => {
        this.installed.push({ snapshot, hardState });
        return this.#begin(`install ${snapshot.index}`);
      },
      onPersisted: (writes) => {
        this.persisted.push(writes);
        this.start();
      },
      onError: (error) => this.errors.push(error),
    });
  }

  /** Adds rounds, each in a turn of its own; returns those that were done at once. */
  add(...writes: readonly Write[]): readonly Write[] {
    const done: Write[] = [];
    for (const write of writes) {
      this.writer.add(write);
      done.push(...this.start());
    }
    return done;
  }

  /** As Rounds does: while something is done at once, there may be more. */
  start(): readonly Write[] {
    const all: Write[] = [];
    for (let done = this.writer.start(); done.length > 0; done = this.writer.start()) all.push(...done);
    return all;
  }

  async finish(error?: Error): Promise<void> {
    const pending = this.#pending;
    this.#pending = undefined;
    assert.ok(pending !== undefined, "something is under way");
    if (error === undefined) pending.resolve();
    else pending.reject(error);
    for (let i = 0; i < 6; i += 1) await Promise.resolve();
  }

  get indexes(): readonly (readonly number[])[] {
    return this.batches.map(({ entries }) => entries.map(({ index }) => index));
  }

  #begin(what: string): Promise<void> {
    assert.equal(this.#pending, undefined, "one at a time");
    this.begun.push(what);
    this.#pending = Promise.withResolvers();
    return this.#pending.promise;
  }
}

suite("WalWriter", () => {
  test("start() writes one batch at a time, and what came meanwhile goes into the next", async () => {
    const bed = new Bed();
    const hardState = { term: 2, vote: 1n, commit: 1 };
    const writes = [round([[1, 1]]), round([[2, 1]]), round([], { hardState }), round([[3, 2]])] as const;
    bed.add(...writes);
    assert.deepEqual(bed.indexes, [[1]]);
    await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3]]);
    assert.deepEqual(bed.batches[1]?.hardState, hardState);
    assert.deepEqual(bed.persisted, [[writes[0]]]);
    await bed.finish();
    assert.deepEqual(
      bed.persisted,
      [[writes[0]], [writes[1], writes[2], writes[3]]],
      "in the order of rounds",
    );
    assert.equal(bed.writer.isIdle, true);
  });

  test("start() begins a new batch with a round that replaces a tail", async () => {
    const bed = new Bed();
    bed.add(
      round([[1, 1]]),
      round([
        [2, 1],
        [3, 1],
      ]),
      round([[2, 2]]),
    );
    await bed.finish();
    await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3], [2]]);
  });

  test("start() takes rounds into a batch until it has its bytes", async () => {
    const bed = new Bed(20);
    bed.add(round([[1, 1]]));
    for (let index = 2; index <= 6; index += 1) bed.add(round([[index, 1]]));
    for (let i = 0; i < 3; i += 1) await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3], [4, 5], [6]]);
  });

  test("rounds that need no sync are done at once, without a write", () => {
    const bed = new Bed();
    const writes = [idle(), idle({ term: 1, vote: 1n, commit: 3 })];
    for (const write of writes) bed.writer.add(write);
    assert.deepEqual(bed.writer.start(), writes);
    assert.deepEqual([bed.begun, bed.persisted, bed.writer.isIdle], [[], [], true]);
  });

  test("rounds that need no sync are never done ahead of an earlier one", async () => {
    const bed = new Bed();
    const [first, second, third] = [round([[1, 1]]), idle(), idle()];
    assert.deepEqual(bed.add(first, second, third), []);
    assert.deepEqual(bed.persisted, []);
    let doneAtOnce: readonly Write[] = [];
    const start = bed.start.bind(bed);
    bed.start = () => {
      doneAtOnce = start();
      return doneAtOnce;
    };
    await bed.finish();
    assert.deepEqual([bed.persisted, doneAtOnce], [[[first]], [second, third]]);
    assert.deepEqual(bed.begun, ["1"]);
  });

  test("the hard state of rounds that need no sync rides with the next that does, the newest of them", async () => {
    const bed = new Bed();
    bed.add(idle({ term: 1, vote: 1n, commit: 3 }), idle({ term: 1, vote: 1n, commit: 4 }), idle());
    bed.add(round([[5, 1]]));
    assert.deepEqual(bed.batches[0]?.hardState, { term: 1, vote: 1n, commit: 4 });
    bed.add(idle({ term: 1, vote: 1n, commit: 5 }));
    bed.add(round([[6, 1]], { hardState: { term: 2, vote: 1n, commit: 5 } }));
    await bed.finish();
    assert.deepEqual(bed.batches[1]?.hardState, { term: 2, vote: 1n, commit: 5 });
    bed.add(round([[7, 1]]));
    await bed.finish();
    assert.equal(bed.batches[2]?.hardState, undefined, "it is there already");
  });

  test("a snapshot waits until it may be installed, and so does what follows it", async () => {
    const bed = new Bed();
    const hardState = { term: 3, vote: 0n, commit: 9 };
    const snapshot = round([], { snapshot: at(9), hardState });
    const idleBehind = idle();
    bed.mayInstall = false;
    assert.deepEqual(bed.add(snapshot, idleBehind), []);
    assert.deepEqual([bed.begun, bed.writer.isIdle], [[], false]);
    bed.mayInstall = true;
    bed.start();
    assert.deepEqual(bed.installed, [{ snapshot: at(9), hardState }]);
    assert.deepEqual(bed.persisted, []);
    await bed.finish();
    assert.deepEqual(bed.persisted, [[snapshot]]);
    assert.equal(bed.writer.isIdle, true);
  });

  test("a snapshot is a batch of its own, behind what came before and ahead of what came after", async () => {
    const bed = new Bed();
    const hardState = { term: 3, vote: 0n, commit: 9 };
    const writes = [
      round([[1, 1]]),
      round([[2, 1]]),
      round([], { snapshot: at(9), hardState }),
      round([[10, 3]]),
    ];
    bed.add(...writes);
    for (let i = 0; i < 4; i += 1) await bed.finish();
    assert.deepEqual(bed.begun, ["1", "2", "install 9", "10"]);
    assert.deepEqual(
      bed.persisted,
      writes.map((write) => [write]),
    );
  });

  test("a snapshot's hard state is the newest there is", async () => {
    const bed = new Bed();
    bed.add(idle({ term: 3, vote: 2n, commit: 9 }), round([], { snapshot: at(9) }));
    assert.deepEqual(bed.installed[0]?.hardState, { term: 3, vote: 2n, commit: 9 });
    await bed.finish();
    bed.add(idle({ term: 3, vote: 2n, commit: 10 }));
    bed.add(round([], { snapshot: at(20), hardState: { term: 4, vote: 0n, commit: 20 } }));
    assert.deepEqual(bed.installed[1]?.hardState, { term: 4, vote: 0n, commit: 20 });
    await bed.finish();
    bed.add(round([[21, 4]]));
    assert.equal(bed.batches[0]?.hardState, undefined, "an older one must not come behind it");
  });

  test("the entries of a snapshot's round follow it, before the round is done", async () => {
    const bed = new Bed();
    const write = round([[10, 3]], { snapshot: at(9), hardState: { term: 3, vote: 0n, commit: 9 } });
    bed.add(write);
    await bed.finish();
    assert.deepEqual([bed.begun, bed.persisted], [["install 9", "10"], []]);
    await bed.finish();
    assert.deepEqual(bed.persisted, [[write]]);
  });

  test("start() writes nothing after an error of a write or of an installation", async () => {
    for (const first of [
      round([[1, 1]]),
      round([], { snapshot: at(9), hardState: { term: 1, vote: 0n, commit: 9 } }),
    ]) {
      const bed = new Bed();
      const error = new Error("EIO");
      bed.add(first, round([[10, 1]]), idle());
      await bed.finish(error);
      assert.deepEqual(bed.start(), []);
      assert.deepEqual([bed.begun.length, bed.errors, bed.persisted], [1, [error], []]);
      await bed.writer.stop();
    }
  });

  test("stop() waits for the write under way, and begins no other", async () => {
    const bed = new Bed();
    bed.add(round([[1, 1]]), round([[2, 1]]));
    let stopped = false;
    const stopping = bed.writer.stop().then(() => {
      stopped = true;
    });
    await Promise.resolve();
    assert.equal(stopped, false);
    await bed.finish();
    await stopping;
    assert.deepEqual(bed.indexes, [[1]]);
  });
});
