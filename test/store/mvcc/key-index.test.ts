import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { KeyIndex } from "../../../store/mvcc/key-index.ts";

/** put(2) put(4) deleted(6); put(8) put(10) deleted(12); put(14) put(14.1) put(16). */
function threeLives(): KeyIndex {
  const index = new KeyIndex("k");
  index.put(2, 0);
  index.put(4, 0);
  index.tombstone(6, 0);
  index.put(8, 0);
  index.put(10, 0);
  index.tombstone(12, 0);
  index.put(14, 0);
  index.put(14, 1);
  index.put(16, 0);
  return index;
}

function seenAt(index: KeyIndex, revision: number): string {
  const state = index.at(revision);
  return state === undefined ? "-" : `${state.main}.${state.sub} c${state.createRevision} v${state.version}`;
}

it("KeyIndex.at() finds the change that a revision sees, in the life that it falls in", () => {
  const index = threeLives();
  const seen = Array.from({ length: 17 }, (_, i) => seenAt(index, i + 1));
  assert.deepEqual(seen, [
    "-",
    "2.0 c2 v1",
    "2.0 c2 v1",
    "4.0 c2 v2",
    "4.0 c2 v2",
    "-",
    "-",
    "8.0 c8 v1",
    "8.0 c8 v1",
    "10.0 c8 v2",
    "10.0 c8 v2",
    "-",
    "-",
    "14.1 c14 v2",
    "14.1 c14 v2",
    "16.0 c14 v3",
    "16.0 c14 v3",
  ]);
});

it("KeyIndex.tombstone() does nothing to a key that is deleted already", () => {
  const index = new KeyIndex("k");
  index.put(2, 0);
  assert.equal(index.tombstone(3, 0), true);
  assert.equal(index.tombstone(4, 0), false);
  assert.deepEqual(
    index.describe().map(({ revisions }) => revisions.length),
    [2, 0],
  );
});

it("KeyIndex.put() refuses a revision that is not above the last one", () => {
  const index = new KeyIndex("k");
  index.put(5, 1);
  assert.throws(() => index.put(5, 1), /revision 5\.1 is above 5\.1/);
  assert.throws(() => index.put(4, 9), /above/);
  index.put(5, 2);
});

const kept = (index: KeyIndex) =>
  index.describe().map(({ revisions }) => revisions.map(({ main, sub }) => `${main}.${sub}`).join(" "));

for (const [revision, expected] of [
  [1, ["2.0 4.0 6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [2, ["2.0 4.0 6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [3, ["2.0 4.0 6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [4, ["4.0 6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [5, ["4.0 6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [6, ["6.0", "8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [7, ["8.0 10.0 12.0", "14.0 14.1 16.0"]],
  [10, ["10.0 12.0", "14.0 14.1 16.0"]],
  [12, ["12.0", "14.0 14.1 16.0"]],
  [13, ["14.0 14.1 16.0"]],
  [14, ["14.1 16.0"]],
  [15, ["14.1 16.0"]],
  [16, ["16.0"]],
  [17, ["16.0"]],
] as const) {
  it(`KeyIndex.compact() at ${revision} keeps ${expected.join(" | ")}`, () => {
    const index = threeLives();
    index.compact(revision);
    assert.deepEqual(kept(index), expected);
    assert.equal(index.isEmpty, false);
  });
}

it("KeyIndex.compact() after a deletion leaves nothing; at the deletion itself, the deletion", () => {
  const index = new KeyIndex("k");
  index.put(2, 0);
  index.tombstone(3, 0);
  index.compact(3);
  assert.deepEqual(kept(index), ["3.0", ""]);
  assert.equal(index.isEmpty, false);
  assert.equal(index.at(3), undefined);
  index.compact(4);
  assert.equal(index.isEmpty, true);
});

it("KeyIndex.retainedAt() is what compaction keeps, and tells a deletion", () => {
  const index = threeLives();
  assert.equal(index.retainedAt(1), undefined);
  assert.deepEqual(index.retainedAt(5), { main: 4, sub: 0, tombstone: false });
  assert.deepEqual(index.retainedAt(6), { main: 6, sub: 0, tombstone: true });
  assert.equal(index.retainedAt(7), undefined);
  assert.deepEqual(index.retainedAt(14), { main: 14, sub: 1, tombstone: false });
});

it("KeyIndex.has() tells the kept revisions from the others", () => {
  const index = threeLives();
  index.compact(10);
  for (const [main, sub, expected] of [
    [8, 0, false],
    [10, 0, true],
    [10, 1, false],
    [11, 0, false],
    [12, 0, true],
    [14, 0, true],
    [14, 1, true],
    [16, 0, true],
    [17, 0, false],
  ] as const) {
    assert.equal(index.has({ main, sub }), expected, `${main}.${sub}`);
  }
});

it("KeyIndex.restored() goes on counting where the earliest kept record was", () => {
  const index = KeyIndex.restored("k", { main: 9, sub: 2, createRevision: 4, version: 5 });
  assert.equal(index.at(8), undefined);
  index.put(11, 0);
  assert.equal(seenAt(index, 9), "9.2 c4 v5");
  assert.equal(seenAt(index, 11), "11.0 c4 v6");
});

it("KeyIndex.restoredTombstone() is a deleted key, and can live again", () => {
  const index = KeyIndex.restoredTombstone("k", { main: 9, sub: 0 });
  assert.equal(index.at(9), undefined);
  assert.equal(index.tombstone(10, 0), false);
  index.put(11, 0);
  assert.equal(seenAt(index, 11), "11.0 c11 v1");
  assert.equal(index.at(10), undefined);
});

it("KeyIndex.compact() changes nothing that a read at or above its revision sees", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.integer({ min: 1, max: 3 }), deletes: fc.boolean() }), { maxLength: 30 }),
      fc.array(fc.nat({ max: 95 }), { minLength: 1, maxLength: 4 }),
      (steps, compactions) => {
        const [plain, compacted] = [new KeyIndex("k"), new KeyIndex("k")];
        let revision = 1;
        for (const { gap, deletes } of steps) {
          revision += gap;
          for (const index of [plain, compacted]) {
            if (deletes && index.at(revision) !== undefined) index.tombstone(revision, 0);
            else index.put(revision, 0);
          }
        }
        if (steps.length === 0) return;
        for (const at of compactions.sort((a, b) => a - b)) {
          if (compacted.isEmpty) return;
          compacted.compact(at);
          for (let read = at; read <= revision + 1; read++) {
            assert.deepEqual(compacted.at(read), plain.at(read), `compacted at ${at}, read at ${read}`);
          }
        }
      },
    ),
  );
});
