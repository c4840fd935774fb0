import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Configure } from "../../../store/apply/types.ts";
import type { ConfChange } from "../../../store/raft/conf-change.ts";
import { encodeConfChange } from "../../../store/raft/conf-change.ts";
import type { Entry } from "../../../store/raft/types.ts";
import { ApplyQueue } from "../../../store/replica/apply-queue.ts";
import { EMPTY_LIST, ListState, proposal } from "../../support/list-state.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function entries(from: number, to: number): Entry[] {
  const indexes = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  return indexes.map((index) => ({
    index,
    term: 1,
    kind: "normal",
    data: proposal(BigInt(index), `v${index}`),
  }));
}

/** A queue in front of a list; an entry takes `entryMs` to apply. */
class Bed {
  readonly clock = new ManualClock();
  readonly state = new ListState();
  readonly applied: bigint[] = [];
  readonly changes: ConfChange[] = [];
  readonly queue: ApplyQueue;

  constructor({ applyMs, entryMs }: { readonly applyMs: number; readonly entryMs: number }) {
    this.state.onApply = () => this.clock.advance(entryMs);
    const configure: Configure = (change) => {
      this.changes.push(change);
      return EMPTY_LIST.confState;
    };
    this.queue = new ApplyQueue({
      state: this.state,
      clock: this.clock,
      applyMs,
      configure,
      onApplied: ({ requestId }) => this.applied.push(requestId),
    });
  }

  /** Applies all; returns up to which entry each stretch went. */
  drain(): number[] {
    const ends: number[] = [];
    while (!this.queue.isEmpty) {
      this.queue.applySome();
      ends.push(this.state.appliedIndex);
    }
    return ends;
  }
}

suite("ApplyQueue", () => {
  test("applySome() goes through the rounds in order, and reports each entry once", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 0 });
    bed.queue.add(entries(1, 3));
    bed.queue.add(entries(4, 4));
    bed.queue.add(entries(5, 7));
    assert.deepEqual(bed.drain(), [7]);
    assert.deepEqual(bed.applied, [1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  });

  test("a stretch ends with the entry that takes it over its time, wherever that is in the rounds", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 4 });
    bed.queue.add(entries(1, 2));
    bed.queue.add(entries(3, 3));
    bed.queue.add(entries(4, 8));
    assert.deepEqual(bed.drain(), [3, 6, 8]);
  });

  test("an entry that takes longer than a stretch is one", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 100 });
    bed.queue.add(entries(1, 2));
    bed.queue.add(entries(3, 3));
    assert.deepEqual(bed.drain(), [1, 2, 3]);
  });

  test("an entry of many steps takes many stretches, and the next one waits for its end", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 4 });
    bed.state.stepsOf = ({ index }) => (index === 2 ? 7 : 1);
    bed.queue.add(entries(1, 3));
    assert.deepEqual(bed.drain(), [1, 1, 2, 3]);
    assert.deepEqual(bed.applied, [1n, 2n, 3n]);
  });

  test("a stretch ends with an entry that it goes on with: under long ones a flush waited for seconds to find an end", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 4 });
    bed.state.stepsOf = () => 4;
    bed.queue.add(entries(1, 4));
    // Three steps a stretch: without it the second one ends in the middle of the next entry, and so does the third.
    assert.deepEqual(bed.drain(), [0, 1, 1, 2, 2, 3, 3, 4]);
  });

  test("isEmpty is false in the middle of the last entry, until it is abandoned", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 10 });
    bed.state.stepsOf = () => 3;
    bed.queue.add(entries(1, 1));
    bed.queue.applySome();
    assert.equal(bed.queue.isEmpty, false);
    bed.queue.abandon();
    assert.equal(bed.queue.isEmpty, true);
    bed.queue.applySome();
    assert.deepEqual([bed.applied, bed.state.appliedIndex], [[], 0]);
  });

  test("takes rounds between stretches, also in the middle of one", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 5 });
    bed.queue.add(entries(1, 3));
    bed.queue.applySome();
    assert.equal(bed.state.appliedIndex, 2);
    bed.queue.add(entries(4, 5));
    bed.queue.add([]);
    assert.deepEqual(bed.drain(), [4, 5]);
    bed.queue.add(entries(6, 6));
    assert.equal(bed.queue.isEmpty, false);
    assert.deepEqual(bed.drain(), [6]);
  });

  test("applySome() returns the bytes of the entries that it has applied", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 5 });
    const round = entries(1, 3);
    bed.queue.add(round);
    const bytes = (from: number, to: number) =>
      round.slice(from, to).reduce((sum, { data }) => sum + data.byteLength, 0);
    assert.equal(bed.queue.applySome(), bytes(0, 2));
    assert.equal(bed.queue.applySome(), bytes(2, 3));
    assert.equal(bed.queue.applySome(), 0);
    assert.equal(bed.queue.isEmpty, true);
  });

  test("gives the state what makes a change of the configuration take effect", () => {
    const bed = new Bed({ applyMs: 10, entryMs: 0 });
    const change: ConfChange = {
      transition: "auto",
      changes: [{ kind: "addVoter", id: 3n }],
      context: new Uint8Array(0),
    };
    bed.queue.add([{ index: 1, term: 1, kind: "confChange", data: encodeConfChange(change) }]);
    bed.drain();
    assert.deepEqual(bed.changes, [change]);
  });
});
