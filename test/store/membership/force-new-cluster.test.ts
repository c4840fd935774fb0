import assert from "node:assert/strict";
import { test } from "node:test";
import { changesToAlone } from "../../../store/membership/force-new-cluster.ts";
import { fromConfChange, toConfChange } from "../../../store/membership/member-codec.ts";
import { type MemberChange, unstarted } from "../../../store/membership/types.ts";
import { decodeConfChange, encodeConfChange } from "../../../store/raft/conf-change.ts";
import type { Entry } from "../../../store/raft/types.ts";

const [a, b, c, d] = [1n, 2n, 3n, 4n].map((id) => unstarted(id, [`http://m${id}:2380`])) as [
  ReturnType<typeof unstarted>,
  ReturnType<typeof unstarted>,
  ReturnType<typeof unstarted>,
  ReturnType<typeof unstarted>,
];

function entriesOf(...changes: readonly MemberChange[]): Entry[] {
  const data = changes.map((change) => encodeConfChange(toConfChange(change, 9n)));
  return data.map((bytes, i) => ({ kind: "confChange", term: 3, index: 10 + i, data: bytes }));
}

function texts(changes: readonly Uint8Array[]): string[] {
  return changes.map((data) => {
    const change = fromConfChange(decodeConfChange(data))?.change;
    return change?.kind === "remove" || change?.kind === "promote" ? `${change.kind} ${change.id}` : "other";
  });
}

test("changesToAlone() removes the others of the applied state", () => {
  assert.deepEqual(texts(changesToAlone(2n, { members: [a, b, c], unapplied: [] })), [
    "remove 1",
    "remove 3",
  ]);
});

test("changesToAlone() counts what is in the log and not applied, and passes over other entries", () => {
  const entries = entriesOf(
    { kind: "remove", id: 1n },
    { kind: "add", member: { ...d, isLearner: true }, learnersMax: 1 },
    { kind: "update", id: 3n, peerUrls: ["http://elsewhere:2380"] },
  );
  const put: Entry = { kind: "normal", term: 3, index: 13, data: Buffer.from("put") };
  const changes = changesToAlone(2n, { members: [a, b, c], unapplied: [...entries, put] });
  assert.deepEqual(texts(changes), ["remove 3", "remove 4"]);
});

test("changesToAlone() gives a learner the vote before the others lose theirs", () => {
  const members = [a, b, { ...c, isLearner: true }];
  assert.deepEqual(texts(changesToAlone(3n, { members, unapplied: [] })), [
    "promote 3",
    "remove 1",
    "remove 2",
  ]);
  const promoted = entriesOf({ kind: "promote", id: 3n });
  assert.deepEqual(texts(changesToAlone(3n, { members, unapplied: promoted })), ["remove 1", "remove 2"]);
});

test("changesToAlone() has nothing to do for a member that is alone", () => {
  assert.deepEqual(changesToAlone(1n, { members: [a], unapplied: [] }), []);
  const left = entriesOf({ kind: "remove", id: 2n });
  assert.deepEqual(changesToAlone(1n, { members: [a, b], unapplied: left }), []);
});

test("changesToAlone() refuses a member that was removed", () => {
  assert.throws(
    () => changesToAlone(1n, { members: [a, b], unapplied: entriesOf({ kind: "remove", id: 1n }) }),
    {
      code: "EBOOTSTRAP",
      message:
        "Cannot force a new cluster: member 1 is not in the one that the data folder is of, expected one of 2",
    },
  );
});
