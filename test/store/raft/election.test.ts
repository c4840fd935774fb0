import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { VoteMessage } from "../../../store/raft/message.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];
const PLAIN = { preVote: false, checkQuorum: false };

function vote(to: bigint, from: bigint, term: number, last: VoteMessage["last"]): VoteMessage {
  return { kind: "vote", from, to, term, last, isTransfer: false };
}

const rolesOf = (network: RaftNetwork) => [...network.members.values()].map(({ core }) => core.status.role);
const termsOf = (network: RaftNetwork) => [...network.members.values()].map(({ core }) => core.status.term);

suite("Raft: elections", () => {
  for (const preVote of [false, true]) {
    const label = preVote ? "with pre-votes" : "without pre-votes";

    test(`campaign() is won with a majority's votes, ${label}`, () => {
      for (const { voters, away, isWon } of [
        { voters: THREE, away: [], isWon: true },
        { voters: THREE, away: [3n], isWon: true },
        { voters: THREE, away: [2n, 3n], isWon: false },
        { voters: [1n, 2n, 3n, 4n], away: [3n, 4n], isWon: false },
        { voters: [1n, 2n, 3n, 4n, 5n], away: [4n, 5n], isWon: true },
      ]) {
        const network = new RaftNetwork({ voters, policy: { preVote } });
        for (const id of away) network.isolate(id);
        const { status } = network.elect(1n).core;
        assert.equal(status.role === "leader", isWon, `${voters.length} voters without ${away.length}`);
        // Who only asked whether it could win has spent no term.
        assert.equal(status.term, !isWon && preVote ? 0 : 1);
      }
    });

    test(`campaign() brings everyone to lead in turn, ${label}`, () => {
      const network = new RaftNetwork({ voters: THREE, policy: { preVote } });
      for (const [i, id] of [1n, 2n, 3n, 1n].entries()) {
        network.elect(id);
        assert.equal(network.leader.id, id);
        assert.deepEqual(termsOf(network), [i + 1, i + 1, i + 1]);
        assert.equal(rolesOf(network).filter((role) => role === "leader").length, 1);
      }
    });
  }

  test("tick() makes a follower campaign after its timeout, drawn from n to 2n ticks", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    const { core } = network.member(1n);
    for (let i = 0; i < 18; i += 1) core.tick();
    assert.equal(core.status.role, "follower");
    core.tick();
    assert.deepEqual([core.status.role, core.status.term], ["candidate", 1]);
  });

  test("tick() makes a candidate without an answer stand anew, a term further", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    network.isolate(1n);
    network.tick(19 * 3, [1n]);
    assert.deepEqual(
      [network.member(1n).core.status.role, network.member(1n).core.status.term],
      ["candidate", 3],
    );
  });

  test("step() gives one vote a term, again to the one who has it", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    const { core } = network.member(1n);
    const last = { term: 0, index: 0 };
    for (const from of [2n, 3n, 2n]) core.step(vote(1n, from, 1, last));
    network.settle();
    const answers = network.sentOf("voteResponse").map(({ to, reject }) => [to, reject]);
    assert.deepEqual(answers, [
      [2n, false],
      [3n, true],
      [2n, false],
    ]);
    assert.equal(core.status.vote, 2n);
  });

  test("step() remembers after a crash whom it gave its vote", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    const member = network.member(1n);
    const last = { term: 0, index: 0 };
    member.core.step(vote(1n, 2n, 1, last));
    member.work();
    member.restart();
    member.core.step(vote(1n, 3n, 1, last));
    network.settle();
    assert.deepEqual(
      network.sentOf("voteResponse").map(({ to, reject }) => [to, reject]),
      [
        [2n, false],
        [3n, true],
      ],
    );
  });

  test("step() refuses its vote to a log that is behind its own (Raft §5.4.1)", () => {
    const judged = (last: VoteMessage["last"]) => {
      const network = new RaftNetwork({
        voters: [1n, 2n],
        policy: PLAIN,
        disks: new Map([[1n, { terms: [1, 2, 2] }]]),
      });
      network.member(1n).core.step(vote(1n, 2n, 3, last));
      network.settle();
      return network.sentOf("voteResponse").map(({ reject }) => reject);
    };
    assert.deepEqual(judged({ term: 1, index: 9 }), [true]);
    assert.deepEqual(judged({ term: 2, index: 2 }), [true]);
    assert.deepEqual(judged({ term: 2, index: 3 }), [false]);
    assert.deepEqual(judged({ term: 2, index: 4 }), [false]);
    assert.deepEqual(judged({ term: 3, index: 1 }), [false]);
  });

  test("step() of a leader's message makes a candidate of its term give way", () => {
    for (const kind of ["append", "heartbeat"] as const) {
      const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
      const { core } = network.member(1n);
      core.campaign();
      const envelope = { from: 2n, to: 1n, term: 1, commit: 0 };
      if (kind === "append") core.step({ kind, ...envelope, prev: { term: 0, index: 0 }, entries: [] });
      else core.step({ kind, ...envelope, readPosition: 0 });
      const { role, leader, term, vote: given } = core.status;
      assert.deepEqual({ role, leader, term, given }, { role: "follower", leader: 2n, term: 1, given: 1n });
    }
  });

  test("campaign() of two at once splits the votes; a later one wins", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n, 4n], policy: PLAIN });
    network.cut(1n, 4n);
    network.cut(2n, 3n);
    network.member(1n).core.campaign();
    network.member(2n).core.campaign();
    network.settle();
    assert.deepEqual(rolesOf(network).slice(0, 2), ["candidate", "candidate"]);
    network.heal();
    assert.equal(network.elect(1n).core.status.role, "leader");
    assert.deepEqual(termsOf(network), [2, 2, 2, 2]);
  });

  test("campaign() with the shorter log of two is lost, though it has the higher term", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    network.elect(1n);
    network.isolate(3n);
    network.propose(1n, "x");
    network.settle();
    network.tick(19 * 4, [3n]);
    network.heal();
    network.member(3n).core.campaign();
    network.settle();
    assert.equal(network.member(3n).core.status.role, "follower");
    assert.deepEqual(new Set(termsOf(network)).size, 1, "its term has reached everyone");
    network.elect(2n);
    assert.deepEqual(network.member(3n).disk.state, ["x"]);
  });

  test("step() ignores a message of a term that is over", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    network.elect(1n);
    network.elect(2n);
    const before = network.member(3n).core.status;
    network.member(3n).core.step(vote(3n, 1n, 1, { term: 1, index: 9 }));
    network.member(3n).core.step({
      kind: "append",
      from: 1n,
      to: 3n,
      term: 1,
      prev: { term: 1, index: 1 },
      entries: [{ term: 1, index: 2, kind: "normal", data: Buffer.from("old") }],
      commit: 2,
    });
    network.settle();
    assert.deepEqual(network.member(3n).core.status, before);
  });
});

suite("Raft: elections and the disk", () => {
  test("tick() does not stand again while the own vote is unwritten, and counts it once it is written", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    const member = network.member(1n);
    member.isDiskSlow = true;
    network.tick(19 * 5, [1n]);
    assert.deepEqual([member.core.status.role, member.core.status.term], ["candidate", 1]);
    member.flush();
    network.settle();
    member.flush();
    assert.deepEqual([member.core.status.role, member.core.status.term], ["leader", 1]);
  });

  test("campaign() asks for votes only when its own is on disk: a crash cannot make it stand twice in a term", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    const member = network.member(1n);
    member.isDiskSlow = true;
    member.core.campaign();
    network.settle();
    assert.deepEqual([network.sentOf("vote"), member.core.status.role], [[], "candidate"]);
    member.restart();
    assert.equal(member.core.status.term, 0);
    member.core.campaign();
    network.settle();
    member.flush();
    network.settle();
    assert.deepEqual(
      network.sentOf("vote").map(({ to, term }) => [to, term]),
      [
        [2n, 1],
        [3n, 1],
      ],
    );
    assert.equal(member.core.status.role, "leader");
  });

  test("campaign() counts its own vote, on a slow disk, for its own term alone", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    network.isolate(1n);
    const member = network.member(1n);
    member.isDiskSlow = true;
    member.core.campaign();
    member.work();
    // Somebody else's election ends this candidacy before its vote is written.
    member.core.step(vote(1n, 2n, 2, { term: 0, index: 0 }));
    member.core.campaign();
    member.work();
    member.flush(1);
    assert.deepEqual([member.core.status.role, member.core.status.term], ["candidate", 3]);
    member.core.step({ kind: "voteResponse", from: 2n, to: 1n, term: 3, reject: false });
    assert.equal(
      member.core.status.role,
      "candidate",
      "one vote of three, the own one of this term unwritten",
    );
    member.flush();
    assert.equal(member.core.status.role, "leader");
  });

  test("a follower's vote leaves when it is written", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    for (const id of [2n, 3n]) network.member(id).isDiskSlow = true;
    network.member(1n).core.campaign();
    network.settle();
    assert.equal(network.member(1n).core.status.role, "candidate");
    assert.deepEqual(network.sentOf("voteResponse"), []);
    network.member(2n).flush();
    network.settle();
    assert.equal(network.member(1n).core.status.role, "leader");
  });

  test("campaign() waits while a committed change of the configuration is not applied", () => {
    const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
    network.elect(1n);
    const member = network.member(2n);
    member.isApplyingSlow = true;
    const change = {
      transition: "auto",
      changes: [{ kind: "addLearner", id: 9n }],
      context: Buffer.alloc(0),
    } as const;
    network.member(1n).core.proposeConfChange(change);
    network.settle();
    assert.equal(network.elect(2n).core.status.role, "follower");
    member.applyAll();
    assert.equal(network.elect(2n).core.status.role, "leader");
  });
});
