import assert from "node:assert/strict";
import { test } from "node:test";
import { fromConfChange, toConfChange } from "../../../store/membership/member-codec.ts";
import { type MemberChange, unstarted } from "../../../store/membership/types.ts";
import { MemberChange as MemberChangeMessage } from "../../../store/proto/gen/configuration.ts";
import { decodeConfChange, encodeConfChange } from "../../../store/raft/conf-change.ts";

const ID = 0xfedc_ba98_7654_3210n;
const changes: readonly [MemberChange, coreKind: string][] = [
  [
    { kind: "add", member: { ...unstarted(ID, ["http://a:1", "http://b:2"]), name: "a" }, learnersMax: 3 },
    "addVoter",
  ],
  [{ kind: "add", member: unstarted(ID, ["http://a:1"], true), learnersMax: 1 }, "addLearner"],
  [{ kind: "promote", id: ID }, "addVoter"],
  [{ kind: "remove", id: ID }, "remove"],
  [{ kind: "update", id: ID, peerUrls: ["http://c:3"] }, "update"],
];

for (const [change, coreKind] of changes) {
  test(`toConfChange() and fromConfChange() carry "${change.kind}" as the core's ${coreKind}`, () => {
    const confChange = decodeConfChange(encodeConfChange(toConfChange(change, 77n)));
    assert.deepEqual(confChange.changes, [{ kind: coreKind, id: ID }]);
    assert.equal(confChange.transition, "auto");
    assert.deepEqual(fromConfChange(confChange), { change, requestId: 77n });
  });
}

test("fromConfChange() gives nothing for a change that concerns the configuration alone", () => {
  assert.equal(fromConfChange({ transition: "auto", changes: [], context: new Uint8Array(0) }), undefined);
});

test("fromConfChange() stops at a change of a newer version, and at halves that differ", () => {
  const { context } = toConfChange({ kind: "remove", id: 5n }, 1n);
  assert.throws(
    () => fromConfChange({ transition: "auto", changes: [{ kind: "remove", id: 6n }], context }),
    {
      code: "EUNKNOWNENTRY",
      message:
        'Cannot apply a change of the members: its change is [{"kind":"remove","id":"6"}], its member\'s {"kind":"remove","id":"5"}',
    },
  );
  const newer = MemberChangeMessage.encode({
    ...MemberChangeMessage.decode(context),
    kind: 9 as never,
  }).finish();
  assert.throws(() => fromConfChange({ transition: "auto", changes: [], context: newer }), {
    code: "EUNKNOWNENTRY",
    message: "Cannot apply a change of the members: kind 9, expected at most 3",
  });
});
