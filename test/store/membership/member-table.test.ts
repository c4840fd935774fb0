import assert from "node:assert/strict";
import { test } from "node:test";
import { MemBackend, MemFile } from "../../../store/backend/mem-backend.ts";
import { MemberTable } from "../../../store/membership/member-table.ts";
import { type Member, type MemberChange, unstarted } from "../../../store/membership/types.ts";

const one: Member = { ...unstarted(0xffff_0000_0000_0001n, ["http://one:2380"]), name: "one" };
const two = unstarted(2n, ["http://two:2380", "http://two:2382"]);
const learner = unstarted(3n, ["http://three:2380"], true);

function add(member: Member, learnersMax = 1): MemberChange {
  return { kind: "add", member, learnersMax };
}

function tableOf(...members: Member[]): MemberTable {
  const table = new MemberTable(new MemBackend());
  for (const member of members) table.apply(add(member));
  return table;
}

const refused: readonly [what: string, MemberTable, MemberChange, expected: string][] = [
  ["an id that is there", tableOf(one), add(one), "etcdserver: member ID already exist"],
  [
    "a peer URL that another has",
    tableOf(one, two),
    add(unstarted(9n, ["http://new:1", "http://two:2382"])),
    "etcdserver: Peer URLs already exists",
  ],
  [
    "a learner above the limit",
    tableOf(one, learner),
    add(unstarted(9n, ["http://new:1"], true)),
    "etcdserver: too many learner members in cluster",
  ],
  ["the promotion of nobody", tableOf(one), { kind: "promote", id: 9n }, "etcdserver: member not found"],
  [
    "the promotion of a voter",
    tableOf(one, two),
    { kind: "promote", id: 2n },
    "etcdserver: can only promote a learner member",
  ],
  ["the removal of nobody", tableOf(one), { kind: "remove", id: 9n }, "etcdserver: member not found"],
  [
    "the removal of the last voter",
    tableOf(one, learner),
    { kind: "remove", id: one.id },
    "etcdserver: re-configuration failed due to not enough started members",
  ],
  [
    "an update of nobody",
    tableOf(one),
    { kind: "update", id: 9n, peerUrls: ["http://new:1"] },
    "etcdserver: member not found",
  ],
  [
    "an update to a URL of another",
    tableOf(one, two),
    { kind: "update", id: one.id, peerUrls: ["http://two:2380"] },
    "etcdserver: Peer URLs already exists",
  ],
];

for (const [what, table, change, expected] of refused) {
  test(`MemberTable.refusal() refuses ${what}`, () => {
    assert.equal(table.refusal(change)?.message, expected);
  });
}

test("MemberTable.refusal() lets pass what fits, and a second learner where the limit is two", () => {
  const table = tableOf(one, two, learner);
  assert.equal(table.refusal(add(unstarted(9n, ["http://new:1"]))), undefined);
  assert.equal(table.refusal(add(unstarted(9n, ["http://new:1"], true), 2)), undefined);
  assert.equal(table.refusal({ kind: "promote", id: 3n }), undefined);
  assert.equal(table.refusal({ kind: "remove", id: 3n }), undefined);
  assert.equal(table.refusal({ kind: "remove", id: 2n }), undefined);
  assert.equal(table.refusal({ kind: "update", id: 2n, peerUrls: ["http://two:2380"] }), undefined);
});

test("MemberTable.refusal() never takes a removed id back", () => {
  const table = tableOf(one, two);
  table.apply({ kind: "remove", id: 2n });
  const changes: MemberChange[] = [add(two), { kind: "remove", id: 2n }, { kind: "promote", id: 2n }];
  for (const change of changes) assert.equal(table.refusal(change)?.message, "etcdserver: member not found");
});

test("MemberTable.apply() keeps members ascending by id, and what it keeps survives a restart", async () => {
  const file = new MemFile();
  const backend = new MemBackend({ file });
  const table = new MemberTable(backend);
  for (const member of [one, learner, two]) table.apply(add(member));
  table.setAttributes(learner.id, { name: "three", clientUrls: ["http://three:2379"] });
  table.apply({ kind: "promote", id: learner.id });
  table.apply({ kind: "update", id: one.id, peerUrls: ["http://one:1"] });
  table.apply({ kind: "remove", id: two.id });
  const expected = [
    { ...learner, name: "three", clientUrls: ["http://three:2379"], isLearner: false },
    { ...one, peerUrls: ["http://one:1"] },
  ];
  assert.deepEqual(table.members, expected);
  await backend.commit();
  backend.crash();
  const reopened = new MemberTable(new MemBackend({ file }));
  assert.deepEqual(reopened.members, expected);
  assert.deepEqual([...reopened.removed], [two.id]);
  assert.deepEqual(reopened.get(one.id), expected[1]);
});

test("MemberTable.setAttributes() passes over a member that was removed", () => {
  const table = tableOf(one, two);
  table.apply({ kind: "remove", id: 2n });
  table.setAttributes(2n, { name: "two", clientUrls: [] });
  assert.deepEqual(table.members, [one]);
});
