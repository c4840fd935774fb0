import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { committedIndex, type JointVoters, majority, voteResult } from "../../../store/raft/quorum.ts";

const RUNS = { seed: 11, numRuns: 1000 };

const joint = (incoming: readonly bigint[], outgoing: readonly bigint[] = []): JointVoters => ({
  incoming: new Set(incoming),
  outgoing: new Set(outgoing),
});

const someIds = fc.uniqueArray(fc.bigInt(1n, 8n), { maxLength: 6 });
const someVoters = fc.tuple(someIds, someIds).map(([incoming, outgoing]) => joint(incoming, outgoing));
const someAcked = fc.array(fc.option(fc.nat(12)), { minLength: 8, maxLength: 8 });
const someVotes = fc.array(fc.option(fc.boolean()), { minLength: 8, maxLength: 8 });
const of =
  <Value>(values: readonly (Value | null)[]) =>
  (id: bigint): Value | undefined =>
    values[Number(id) - 1] ?? undefined;

/** By the definition: a majority of every half that has voters is among `ids`. */
const isQuorum = ({ incoming, outgoing }: JointVoters, ids: ReadonlySet<bigint>): boolean =>
  [incoming, outgoing].every((half) => half.size === 0 || half.intersection(ids).size * 2 > half.size);

const all = ({ incoming, outgoing }: JointVoters) => [...incoming.union(outgoing)];

suite("quorum", () => {
  test("majority() is more than half", () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4]);
  });

  test("committedIndex() is what a majority holds; who is not known holds nothing", () => {
    const ackedOf = of([10, 7, 5]);
    assert.equal(committedIndex(joint([1n]), ackedOf), 10);
    assert.equal(committedIndex(joint([1n, 2n]), ackedOf), 7);
    assert.equal(committedIndex(joint([1n, 2n, 3n]), ackedOf), 7);
    assert.equal(committedIndex(joint([1n, 2n, 3n, 4n, 5n]), ackedOf), 5);
    assert.equal(committedIndex(joint([1n, 2n, 3n, 4n, 5n, 6n]), ackedOf), 0);
  });

  test("committedIndex() of a joint configuration is what majorities of both halves hold", () => {
    const ackedOf = of([10, 7, 5, 3]);
    assert.equal(committedIndex(joint([1n, 2n, 3n], [3n, 4n]), ackedOf), 3);
    assert.equal(committedIndex(joint([1n], [1n, 2n, 3n]), ackedOf), 7);
  });

  test("committedIndex() waits for nobody where nobody votes", () => {
    assert.equal(committedIndex(joint([]), of([])), Number.MAX_SAFE_INTEGER);
    assert.equal(committedIndex(joint([], [1n]), of([4])), 4);
  });

  test("committedIndex() is the highest index that a quorum reaches (by trying every index)", () => {
    fc.assert(
      fc.property(someVoters, someAcked, (voters, acked) => {
        fc.pre(all(voters).length > 0);
        const ackedOf = of(acked);
        const holders = (index: number) => new Set(all(voters).filter((id) => (ackedOf(id) ?? 0) >= index));
        const reached = Array.from({ length: 13 }, (_, index) => index).filter((index) =>
          isQuorum(voters, holders(index)),
        );
        assert.equal(committedIndex(voters, ackedOf), Math.max(...reached));
      }),
      RUNS,
    );
  });

  test("voteResult() is won with a majority, lost when none is left to win, pending until then", () => {
    const result = (count: number, votes: readonly boolean[]) =>
      voteResult(joint(Array.from({ length: count }, (_, i) => BigInt(i + 1))), of(votes));
    assert.equal(result(0, []), "won");
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

  test("voteResult() is what the outstanding votes can still make of it (by trying all of them)", () => {
    fc.assert(
      fc.property(someVoters, someVotes, (voters, votes) => {
        const voteOf = of(votes);
        const granted = all(voters).filter((id) => voteOf(id) === true);
        const open = all(voters).filter((id) => voteOf(id) === undefined);
        const isWon = isQuorum(voters, new Set(granted));
        const couldWin = isQuorum(voters, new Set([...granted, ...open]));
        assert.equal(voteResult(voters, voteOf), isWon ? "won" : couldWin ? "pending" : "lost");
      }),
      RUNS,
    );
  });
});
