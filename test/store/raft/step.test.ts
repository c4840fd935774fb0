import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { Raft } from "../../../store/raft/raft.ts";

const STRANGER = 9n;

function loneLeader(): Raft {
  const core = new Raft(
    {
      id: 1n,
      confState: { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
      hardState: { term: 0, vote: 0n, commit: 0 },
      entries: [],
      compacted: { term: 0, index: 0 },
      applied: 0,
    },
    {
      limits: {
        electionTicks: 10,
        heartbeatTicks: 1,
        uncommittedBytes: 1000,
        appendBytes: 1000,
        inflightMessages: 10,
        inflightBytes: 1000,
        applyingBytes: 1000,
        pendingReads: 10,
      },
      policy: { preVote: true, checkQuorum: true, stepDownOnRemoval: true, validateConfChanges: true },
      random: seededRandom(1),
      snapshot: () => undefined,
    },
  );
  core.campaign();
  for (let ready = core.ready(); ready !== undefined; ready = core.ready()) {
    for (const response of ready.write?.responses ?? []) core.step(response);
    if (ready.write !== undefined) core.persisted(ready.write);
    for (const { index } of ready.committed) core.applied(index);
  }
  assert.equal(core.status.role, "leader");
  return core;
}

suite("Raft.step()", () => {
  test("step() does not let a removed member's answer depose the leader", () => {
    const core = loneLeader();
    const { term } = core.status;
    const envelope = { from: STRANGER, to: 1n, term: term + 5 };
    core.step({ ...envelope, kind: "appendResponse", reject: false, index: 0 });
    core.step({ ...envelope, kind: "heartbeatResponse", readPosition: 0 });
    core.step({ ...envelope, kind: "voteResponse", reject: true });
    core.step({ ...envelope, kind: "preVoteResponse", reject: true });
    core.step({ ...envelope, kind: "readIndexResponse", context: 1n, index: 0 });
    assert.equal(core.ready(), undefined);
    assert.deepEqual([core.status.role, core.status.term], ["leader", term]);
  });

  test("step() reads the request of a member that it does not know: it may know more than this one", () => {
    const core = loneLeader();
    const { term } = core.status;
    core.step({
      kind: "append",
      from: STRANGER,
      to: 1n,
      term: term + 5,
      prev: { term: 0, index: 0 },
      entries: [],
      commit: 0,
    });
    const { role, leader } = core.status;
    assert.deepEqual([role, leader, core.status.term], ["follower", STRANGER, term + 5]);
  });
});
