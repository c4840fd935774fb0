import assert from "node:assert/strict";
import type { SingleChange, SingleChangeKind } from "../../../../store/raft/conf-change.ts";

const KINDS: Readonly<Record<string, SingleChangeKind>> = {
  v: "addVoter",
  l: "addLearner",
  r: "remove",
  u: "update",
};

/** The changes that a script writes as `v1 l2 r3 u4`. */
export function parseChanges(text: string): SingleChange[] {
  return text
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => {
      const kind = KINDS[word.slice(0, 1)];
      assert.ok(kind !== undefined && /^[a-z]\d+$/.test(word), `not a change: "${word}"`);
      return { kind, id: BigInt(word.slice(1)) };
    });
}

/** The inverse of {@link parseChanges}. */
export function describeChanges(changes: readonly SingleChange[]): string {
  const letters = new Map(Object.entries(KINDS).map(([letter, kind]) => [kind, letter]));
  return changes.map(({ kind, id }) => `${letters.get(kind)}${id}`).join(" ");
}
