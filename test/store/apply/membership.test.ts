import assert from "node:assert/strict";
import { test } from "node:test";
import { runAtOnce } from "../../../base/steps.ts";
import { bootstrapEntries } from "../../../store/membership/bootstrap-entries.ts";
import { toConfChange } from "../../../store/membership/member-codec.ts";
import { type Member, type MemberChange, unstarted } from "../../../store/membership/types.ts";
import { AlarmRequest_AlarmAction, AlarmType, MemberAddResponse } from "../../../store/proto/gen/rpc.ts";
import { encodeConfChange } from "../../../store/raft/conf-change.ts";
import { configurer } from "../membership/configurer.ts";
import { refusal, responseOf, StateBed } from "./state-bed.ts";

const first: Member[] = [
  { ...unstarted(30n, ["http://c:2380"]), name: "c" },
  { ...unstarted(10n, ["http://a:2380"]), name: "a" },
  { ...unstarted(20n, ["http://b:2380"]), name: "b" },
];
const newcomer = unstarted(40n, ["http://d:2380"], true);

function begun(): StateBed {
  const bed = new StateBed();
  for (const entry of bootstrapEntries(first)) bed.applyEntry(entry);
  return bed;
}

function change(bed: StateBed, wanted: MemberChange, requestId = 5n) {
  const index = bed.log.length + 1;
  const data = encodeConfChange(toConfChange(wanted, requestId));
  const entry = { term: 2, index, kind: "confChange", data } as const;
  bed.log.push(entry);
  return runAtOnce(bed.state.apply(entry, bed.configure));
}

test("bootstrapEntries() are the same for every first member, one each, and name all of them", () => {
  const entries = bootstrapEntries(first);
  assert.deepEqual(entries, bootstrapEntries([...first].reverse()));
  assert.deepEqual(
    entries.map(({ term, index, kind }) => [term, index, kind]),
    [
      [1, 1, "confChange"],
      [1, 2, "confChange"],
      [1, 3, "confChange"],
    ],
  );
  const { state } = begun();
  assert.deepEqual(
    state.members.map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.deepEqual(state.confState.voters, [10n, 20n, 30n]);
  assert.equal(state.appliedIndex, 3);
  assert.equal(state.revision, 1);
});

test("StateMachine.apply() answers a change of the members with etcd's response, and counts no revision", () => {
  const bed = begun();
  const { requestId, outcome } = change(bed, { kind: "add", member: newcomer, learnersMax: 1 }, 77n);
  assert.equal(requestId, 77n);
  assert.equal(outcome.revision, 1);
  const { member, members } = MemberAddResponse.decode(responseOf(outcome));
  assert.deepEqual([member?.ID, member?.isLearner, member?.peerURLs], [40n, true, ["http://d:2380"]]);
  assert.deepEqual(
    members.map(({ ID }) => ID),
    [10n, 20n, 30n, 40n],
  );
  assert.deepEqual(bed.state.confState.learners, [40n]);
  change(bed, { kind: "promote", id: 40n });
  assert.deepEqual([bed.state.confState.learners, bed.state.confState.voters], [[], [10n, 20n, 30n, 40n]]);
  change(bed, { kind: "remove", id: 10n });
  assert.deepEqual([...bed.state.removedMembers], [10n]);
  assert.deepEqual(bed.state.confState.voters, [20n, 30n, 40n]);
});

test("StateMachine.apply() does not let a refused change reach the core", () => {
  const bed = begun();
  const { configure, calls } = configurer(bed.state.confState);
  bed.configure = configure;
  const { requestId, outcome } = change(bed, { kind: "remove", id: 99n }, 9n);
  assert.deepEqual([requestId, refusal(outcome), calls()], [9n, "MemberNotFound", 0]);
  assert.equal(bed.state.appliedIndex, 4);
  assert.equal(refusal(change(bed, { kind: "promote", id: 10n }).outcome), "MemberNotLearner");
  assert.equal(calls(), 0);
});

test("StateMachine.apply() refuses a change that comes a second time", () => {
  const bed = begun();
  const twice: MemberChange = { kind: "add", member: newcomer, learnersMax: 1 };
  assert.equal(refusal(change(bed, twice).outcome), undefined);
  const { members, confState } = bed.state;
  assert.equal(refusal(change(bed, twice).outcome), "MemberExist");
  assert.deepEqual([bed.state.members, bed.state.confState], [members, confState]);
});

test("StateMachine.apply() keeps a joint configuration, and its end, which say nothing of members", () => {
  const bed = begun();
  const joint = { ...bed.state.confState, votersOutgoing: [10n], autoLeave: true };
  bed.configure = () => joint;
  bed.applyEntry({ term: 1, index: 4, kind: "confChange", data: new Uint8Array(0) });
  assert.deepEqual(bed.state.confState, joint);
  assert.equal(bed.state.members.length, 3);
});

test("StateMachine keeps members and configuration with the applied index, whenever it crashes", async () => {
  const bed = begun();
  await bed.state.flush();
  change(bed, { kind: "add", member: newcomer, learnersMax: 1 });
  change(bed, { kind: "update", id: 20n, peerUrls: ["http://b:1"] });
  const { members, confState } = bed.state;
  bed.crashAndReplay();
  assert.deepEqual([bed.state.members, bed.state.confState], [members, confState]);
  await bed.state.flush();
  change(bed, { kind: "remove", id: 40n });
  bed.crashAndReplay();
  assert.deepEqual(bed.state.confState.learners, []);
  assert.deepEqual([...bed.state.removedMembers], [40n]);
});

test("StateMachine.apply() notes what a started member tells of itself, also under the alarm CORRUPT", () => {
  const bed = begun();
  bed.apply({
    $case: "alarm",
    value: { action: AlarmRequest_AlarmAction.ACTIVATE, memberID: 10n, alarm: AlarmType.CORRUPT },
  });
  const memberAttributes = { name: "renamed", clientUrls: ["http://b:2379"] };
  bed.apply({ $case: "clusterMemberAttrSet", value: { memberID: 20n, memberAttributes } });
  assert.deepEqual(bed.state.members[1], {
    ...unstarted(20n, ["http://b:2380"]),
    ...memberAttributes,
  });
});

test("StateMachine.adoptLoneMember() names the member of a former release, and nobody in any other backend", () => {
  const former = new StateBed();
  former.backend.put("meta", Buffer.from("formatVersion"), Buffer.from([0, 0, 0, 1]));
  const lone = { ...unstarted(10n, ["http://a:2380"]), name: "a" };
  former.state.adoptLoneMember(lone);
  assert.deepEqual(former.state.members, [lone]);
  assert.deepEqual(former.state.confState.voters, [10n]);
  former.state.adoptLoneMember(unstarted(11n, ["http://x:2380"]));
  assert.deepEqual(former.state.members, [lone]);
  const fresh = new StateBed();
  fresh.state.adoptLoneMember(lone);
  assert.deepEqual(fresh.state.members, []);
});
