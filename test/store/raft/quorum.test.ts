import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { majority, quorumIndex, voteResult } from "../../../store/raft/quorum.ts";

const voters = (count: number) => Array.from({ length: count }, (_, i) => BigInt(i + 1));

suite("quorum", () => {
  test("majority() is more than half", () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4]);
  });

  test("quorumIndex() is what a majority holds", () => {
    const match = new Map([
      [1n, 10],
      [2n, 7],
      [3n, 5],
    ]);
    assert.equal(
      quorumIndex(voters(1), (id) => match.get(id)),
      10,
    );
    assert.equal(
      quorumIndex(voters(2), (id) => match.get(id)),
      7,
    );
    assert.equal(
      quorumIndex(voters(3), (id) => match.get(id)),
      7,
    );
    assert.equal(
      quorumIndex(voters(5), (id) => match.get(id)),
      5,
    );
    assert.equal(
      quorumIndex(voters(6), (id) => match.get(id)),
      0,
    );
  });

  test("quorumIndex() is the highest index that enough voters reach (by counting, for any match)", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(20)), { minLength: 1, maxLength: 9 }), (matches) => {
        const ids = voters(matches.length);
        const matchOf = (id: bigint) => matches[Number(id) - 1] ?? undefined;
        const holders = (index: number) => ids.filter((id) => (matchOf(id) ?? 0) >= index).length;
        let counted = 0;
        while (holders(counted + 1) * 2 > ids.length) counted += 1;
        assert.equal(quorumIndex(ids, matchOf), counted);
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  test("voteResult() is won with a majority, lost when none is left to win, pending until then", () => {
    const result = (count: number, votes: readonly boolean[]) =>
      voteResult(voters(count), (id) => votes[Number(id) - 1]);
    assert.equal(result(1, []), "pending");
    assert.equal(result(1, [true]), "won");
    assert.equal(result(1, [false]), "lost");
    assert.equal(result(3, [true]), "pending");
    assert.equal(result(3, [true, false]), "pending");
    assert.equal(result(3, [true, false, true]), "won");
    assert.equal(result(3, [true, false, false]), "lost");
    assert.equal(result(4, [true, true, false]), "pending");
    assert.equal(result(4, [true, true, false, false]), "lost");
  });
});
