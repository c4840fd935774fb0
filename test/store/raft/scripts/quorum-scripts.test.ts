import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { ensureRaftScripts } from "../../../../deploy/parts.js";
import { committedIndex, type JointVoters, voteResult } from "../../../../store/raft/quorum.ts";
import { argValues, type Directive, runScript } from "../../../support/data-driven.ts";
import { describeAcked, describeIndex } from "./describe.ts";

const RESULTS = { won: "VoteWon", lost: "VoteLost", pending: "VotePending" };
const SCRIPTS = ["joint_commit.txt", "joint_vote.txt", "majority_commit.txt", "majority_vote.txt"];

suite("etcd-io/raft's scripts of quorum", async () => {
  const folder = path.join(await ensureRaftScripts(), "quorum", "testdata");

  test("are all here", () => assert.deepEqual(readdirSync(folder).sort(), SCRIPTS));

  for (const script of SCRIPTS) {
    test(`committedIndex() and voteResult() answer as in ${script}`, () => {
      runScript(path.join(folder, script), answer);
    });
  }
});

/** Which halves a directive names; `cfgj=zero` is an empty outgoing half that is there. */
interface Question {
  readonly voters: JointVoters;
  readonly isJoint: boolean;
  /** Every voter once, in the order in which its value is given. */
  readonly ids: readonly bigint[];
}

function answer(directive: Directive): string {
  for (const { key } of directive.args) assert.ok(["cfg", "cfgj", "idx", "votes"].includes(key), key);
  const question = questionOf(directive);
  if (directive.command === "committed") return committed(question, valuesOf(directive, "idx", question));
  assert.equal(directive.command, "vote");
  return vote(question, valuesOf(directive, "votes", question));
}

function questionOf(directive: Directive): Question {
  const incoming = (argValues(directive, "cfg") ?? []).filter((value) => value !== "").map(BigInt);
  const second = argValues(directive, "cfgj");
  const outgoing = (second ?? []).filter((value) => value !== "zero").map(BigInt);
  return {
    voters: { incoming: new Set(incoming), outgoing: new Set(outgoing) },
    isJoint: second !== undefined,
    ids: [...new Set([...incoming, ...outgoing])],
  };
}

/** What is given for each voter; not in it: `_`. */
function valuesOf(directive: Directive, key: string, { ids }: Question): ReadonlyMap<bigint, string> {
  const values = (argValues(directive, key) ?? []).filter((value) => value !== "");
  assert.equal(values.length, ids.length, `a value a voter in ${key}`);
  const given = ids.map((id, i): [bigint, string] => [id, values[i] ?? ""]);
  return new Map(given.filter(([, value]) => value !== "_"));
}

function committed({ voters, isJoint }: Question, values: ReadonlyMap<bigint, string>): string {
  const acked = new Map(Array.from(values, ([id, value]) => [id, Number(value)]));
  const ackedOf = (id: bigint) => acked.get(id);
  const { incoming, outgoing } = voters;
  const index = committedIndex(voters, ackedOf);
  const others: [string, number][] = isJoint
    ? [["symmetry", committedIndex({ incoming: outgoing, outgoing: incoming }, ackedOf)]]
    : [
        ["alternative computation", countedIndex(incoming, ackedOf)],
        ["zero-joint quorum", committedIndex({ incoming: new Set(), outgoing: incoming }, ackedOf)],
        ["self-joint quorum", committedIndex({ incoming, outgoing: incoming }, ackedOf)],
        ...loweredIndexes(incoming, acked, index),
      ];
  const differing = others.filter(([, other]) => other !== index);
  return [
    describeAcked(incoming.union(outgoing), ackedOf),
    ...differing.map(([how, other]) => `${describeIndex(other)} <-- via ${how}\n`),
    `${describeIndex(index)}\n`,
  ].join("");
}

/** A voter that is behind the committed index may fall back further without moving it. */
function loweredIndexes(
  voters: ReadonlySet<bigint>,
  acked: ReadonlyMap<bigint, number>,
  index: number,
): [string, number][] {
  return [...acked]
    .filter(([, own]) => own < index)
    .flatMap(([id, own]) =>
      [own - 1, 0].map((lowered): [string, number] => {
        const ackedOf = (other: bigint) => (other === id ? lowered : acked.get(other));
        return [
          `overlaying ${id}->${lowered}`,
          committedIndex({ incoming: voters, outgoing: new Set() }, ackedOf),
        ];
      }),
    );
}

/** The highest index held by more than half, by counting its holders. */
function countedIndex(voters: ReadonlySet<bigint>, ackedOf: (id: bigint) => number | undefined): number {
  if (voters.size === 0) return Number.MAX_SAFE_INTEGER;
  const held = [...voters].map((id) => ackedOf(id) ?? 0);
  return Math.max(
    0,
    ...held.filter((index) => held.filter((other) => other >= index).length * 2 > voters.size),
  );
}

function vote({ voters }: Question, values: ReadonlyMap<bigint, string>): string {
  for (const value of values.values()) assert.match(value, /^[yn]$/);
  const voteOf = (id: bigint) => (values.has(id) ? values.get(id) === "y" : undefined);
  const result = voteResult(voters, voteOf);
  const swapped = voteResult({ incoming: voters.outgoing, outgoing: voters.incoming }, voteOf);
  const differing = swapped === result ? "" : `${RESULTS[swapped]} <-- via symmetry\n`;
  return `${differing}${RESULTS[result]}\n`;
}
