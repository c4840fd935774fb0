import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { VoteMessage } from "../../../store/raft/message.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];
const ONLY_PRE_VOTE = { preVote: true, checkQuorum: false };

function preVote(to: bigint, from: bigint, term: number, last: VoteMessage["last"]): VoteMessage {
  return { kind: "preVote", from, to, term, last, isTransfer: false };
}

const statusOf = (network: RaftNetwork, id: bigint) => {
  const { role, term, leader } = network.member(id).core.status;
  return [role, term, leader];
};

suite("Raft: pre-votes (thesis §9.6)", () => {
  test("a member that comes back from a partition disturbs nobody, and has spent no term", () => {
    const network = new RaftNetwork({ voters: THREE });
    network.elect(1n);
    network.isolate(3n);
    network.tick(19 * 5, [3n]);
    assert.deepEqual(statusOf(network, 3n), ["preCandidate", 1, 0n]);
    network.heal();
    network.tick(19, [3n]);
    assert.deepEqual(statusOf(network, 1n), ["leader", 1, 1n]);
    network.tick(1, [1n]);
    assert.deepEqual(statusOf(network, 3n), ["follower", 1, 1n]);
  });

  test("step() of a pre-vote changes neither term nor vote nor timer", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_PRE_VOTE });
    const { core } = network.member(1n);
    for (let i = 0; i < 18; i += 1) core.tick();
    const before = core.status;
    core.step(preVote(1n, 2n, 5, { term: 0, index: 0 }));
    const { term, vote, role } = core.status;
    assert.deepEqual({ term, vote, role }, { term: before.term, vote: before.vote, role: before.role });
    core.tick();
    assert.equal(core.status.role, "preCandidate");
  });

  test("step() grants any number of pre-votes in a term, in the wanted term, and refuses in its own", () => {
    const network = new RaftNetwork({
      voters: THREE,
      policy: ONLY_PRE_VOTE,
      disks: new Map([[1n, { terms: [1, 2] }]]),
    });
    const { core } = network.member(1n);
    core.step(preVote(1n, 2n, 3, { term: 2, index: 2 }));
    core.step(preVote(1n, 3n, 7, { term: 2, index: 2 }));
    core.step(preVote(1n, 3n, 8, { term: 1, index: 9 }));
    network.settle();
    assert.deepEqual(
      network.sentOf("preVoteResponse").map(({ to, term, reject }) => [to, term, reject]),
      [
        [2n, 3, false],
        [3n, 7, false],
        [3n, 2, true],
      ],
    );
  });

  test("campaign() that a longer log refuses ends at the first majority of refusals", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_PRE_VOTE });
    network.elect(1n);
    network.isolate(3n);
    network.propose(1n, "x");
    network.settle();
    network.heal();
    network.elect(3n);
    assert.deepEqual(statusOf(network, 3n), ["follower", 1, 0n]);
    assert.deepEqual(network.sentOf("vote", { from: 3n }), []);
  });

  test("a member with a higher term and a shorter log does not block the others for ever", () => {
    // Each refuses the other: one has more entries, the other more terms.
    const network = new RaftNetwork({
      voters: THREE,
      disks: new Map([
        [1n, { terms: [1, 1, 1], term: 1 }],
        [2n, { terms: [1], term: 4 }],
      ]),
    });
    network.isolate(3n);
    network.elect(1n);
    assert.equal(network.member(1n).core.status.term, 4, "the refusal told the term");
    network.elect(1n);
    assert.deepEqual(statusOf(network, 1n), ["leader", 5, 1n]);
    assert.deepEqual(network.member(2n).terms, [1, 1, 1, 5]);
  });

  test("a late answer to the pre-vote does not count as a vote", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n, 4n, 5n], policy: ONLY_PRE_VOTE });
    const { core } = network.member(1n);
    network.fateOf = ({ kind }) => (kind === "preVoteResponse" || kind === "vote" ? "hold" : "deliver");
    core.campaign();
    network.settle();
    for (const answer of network.held.slice(0, 2)) core.step(answer);
    network.settle();
    assert.deepEqual([core.status.role, core.status.term], ["candidate", 1]);
    for (const answer of network.held) if (answer.kind === "preVoteResponse") core.step(answer);
    network.settle();
    assert.equal(core.status.role, "candidate");
  });

  test("a slow disk's own pre-vote does not count as its vote", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_PRE_VOTE });
    const member = network.member(1n);
    member.isDiskSlow = true;
    member.core.campaign();
    network.settle();
    assert.equal(member.core.status.role, "candidate", "with the pre-votes of the others");
    network.fateOf = ({ kind }) => (kind === "vote" ? "drop" : "deliver");
    const [preVoteWrite] = member.writes;
    assert.deepEqual(
      preVoteWrite?.responses.map(({ kind, term }) => [kind, term]),
      [["preVoteResponse", 1]],
    );
    member.flush(1);
    member.core.step({ kind: "voteResponse", from: 2n, to: 1n, term: 1, reject: false });
    assert.equal(member.core.status.role, "candidate");
    member.flush();
    assert.equal(member.core.status.role, "leader");
  });
});
