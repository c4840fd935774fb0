import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Entry, EntryId, HardState, Ready } from "../../../store/raft/types.ts";
import { WalWriter } from "../../../store/replica/wal-writer.ts";

function round(entries: readonly (readonly [index: number, term: number])[], hardState?: HardState): Ready {
  return {
    write: undefined,
    hardState,
    entries: entries.map(([index, term]) => ({ index, term, kind: "normal", data: Buffer.alloc(10) })),
    committed: [],
    readStates: [],
    softState: undefined,
  };
}

/** A log whose writes end when the test says so. */
class Bed {
  readonly batches: { readonly hardState: HardState | undefined; readonly entries: readonly Entry[] }[] = [];
  readonly persisted: (readonly EntryId[])[] = [];
  readonly errors: unknown[] = [];
  readonly writer: WalWriter;
  #pending: PromiseWithResolvers<void> | undefined;

  constructor(batchBytes = 1000) {
    this.writer = new WalWriter({
      wal: {
        append: (batch) => {
          assert.equal(this.#pending, undefined, "one append at a time");
          this.batches.push(batch);
          this.#pending = Promise.withResolvers();
          return this.#pending.promise;
        },
      },
      batchBytes,
      onPersisted: (writes) => this.persisted.push(writes),
      onError: (error) => this.errors.push(error),
    });
  }

  add(ready: Ready, write: EntryId): void {
    this.writer.add(ready, write);
    this.writer.start();
  }

  async finish(error?: Error): Promise<void> {
    const pending = this.#pending;
    this.#pending = undefined;
    if (error === undefined) pending?.resolve();
    else pending?.reject(error);
    for (let i = 0; i < 5; i += 1) await Promise.resolve();
  }

  get indexes(): readonly (readonly number[])[] {
    return this.batches.map(({ entries }) => entries.map(({ index }) => index));
  }
}

suite("WalWriter", () => {
  test("start() writes one batch at a time, and what came meanwhile goes into the next", async () => {
    const bed = new Bed();
    bed.add(round([[1, 1]]), { term: 1, index: 1 });
    bed.add(round([[2, 1]]), { term: 1, index: 2 });
    bed.add(round([], { term: 2, vote: 1n, commit: 1 }), { term: 1, index: 2 });
    bed.add(round([[3, 2]]), { term: 2, index: 3 });
    assert.deepEqual(bed.indexes, [[1]]);
    await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3]]);
    assert.deepEqual(bed.batches[1]?.hardState, { term: 2, vote: 1n, commit: 1 });
    assert.deepEqual(bed.persisted, [[{ term: 1, index: 1 }]]);
    await bed.finish();
    assert.deepEqual(bed.persisted[1], [
      { term: 1, index: 2 },
      { term: 1, index: 2 },
      { term: 2, index: 3 },
    ]);
    assert.equal(bed.writer.isIdle, true);
  });

  test("start() begins a new batch with a round that replaces a tail", async () => {
    const bed = new Bed();
    bed.add(round([[1, 1]]), { term: 1, index: 1 });
    bed.add(
      round([
        [2, 1],
        [3, 1],
      ]),
      { term: 1, index: 3 },
    );
    bed.add(round([[2, 2]]), { term: 2, index: 2 });
    await bed.finish();
    await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3], [2]]);
  });

  test("start() takes rounds into a batch until it has its bytes", async () => {
    const bed = new Bed(20);
    bed.add(round([[1, 1]]), { term: 1, index: 1 });
    for (let index = 2; index <= 6; index += 1) bed.add(round([[index, 1]]), { term: 1, index });
    await bed.finish();
    await bed.finish();
    await bed.finish();
    assert.deepEqual(bed.indexes, [[1], [2, 3], [4, 5], [6]]);
  });

  test("start() writes nothing after an error, and stop() waits for the write under way", async () => {
    const bed = new Bed();
    const error = new Error("EIO");
    bed.add(round([[1, 1]]), { term: 1, index: 1 });
    bed.add(round([[2, 1]]), { term: 1, index: 2 });
    await bed.finish(error);
    bed.writer.start();
    assert.deepEqual([bed.indexes, bed.errors, bed.persisted], [[[1]], [error], []]);
    await bed.writer.stop();

    const other = new Bed();
    other.add(round([[1, 1]]), { term: 1, index: 1 });
    other.add(round([[2, 1]]), { term: 1, index: 2 });
    let stopped = false;
    const stopping = other.writer.stop().then(() => {
      stopped = true;
    });
    await Promise.resolve();
    assert.equal(stopped, false);
    await other.finish();
    await stopping;
    assert.deepEqual(other.indexes, [[1]]);
  });
});
