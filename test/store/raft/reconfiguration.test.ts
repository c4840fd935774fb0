import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ConfChange, ConfChangeTransition, SingleChange } from "../../../store/raft/conf-change.ts";
import { RaftNetwork, type RaftNetworkOptions } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];

function change(transition: ConfChangeTransition, ...changes: readonly SingleChange[]): ConfChange {
  return { transition, changes, context: Buffer.alloc(0) };
}

const add = (id: bigint): SingleChange => ({ kind: "addVoter", id });
const learn = (id: bigint): SingleChange => ({ kind: "addLearner", id });
const remove = (id: bigint): SingleChange => ({ kind: "remove", id });

function led(options: Partial<RaftNetworkOptions> = {}): RaftNetwork {
  const network = new RaftNetwork({ voters: THREE, ...options });
  network.elect(1n);
  network.settle();
  network.forgetSent();
  return network;
}

function proposeChange(network: RaftNetwork, id: bigint, wanted: ConfChange): void {
  assert.equal(network.member(id).core.proposeConfChange(wanted), "accepted");
  network.settle();
}

const votersOf = (network: RaftNetwork, id = 1n) => network.member(id).core.confState.voters;
const kindsOf = (network: RaftNetwork, id = 1n) => network.member(id).disk.entries.map(({ kind }) => kind);
const normal = (count: number) => Array.from({ length: count }, () => "normal" as const);

suite("Raft: one change at a time", () => {
  test("proposeConfChange() takes effect where it is applied, at every member", () => {
    const network = led();
    network.join(4n);
    proposeChange(network, 1n, change("auto", add(4n)));
    for (const id of [...THREE, 4n]) assert.deepEqual(votersOf(network, id), [1n, 2n, 3n, 4n]);
    proposeChange(network, 2n, change("auto", remove(3n)));
    for (const id of [1n, 2n, 4n]) assert.deepEqual(votersOf(network, id), [1n, 2n, 4n]);
  });

  test("proposeConfChange() while another may be unapplied appends an empty entry in its place", () => {
    const network = led();
    network.member(1n).isApplyingSlow = true;
    proposeChange(network, 1n, change("auto", add(4n)));
    proposeChange(network, 1n, change("auto", add(5n)));
    assert.equal(network.member(1n).core.status.commit, 3, "committed, and not applied at the leader");
    assert.deepEqual(kindsOf(network), ["normal", "confChange", "normal"]);
    network.member(1n).applyAll();
    network.settle();
    assert.deepEqual(votersOf(network), [1n, 2n, 3n, 4n]);
  });

  test("proposeConfChange() is free again when the one before is applied", () => {
    const network = led();
    for (const id of [4n, 5n]) {
      network.join(id);
      proposeChange(network, 1n, change("auto", add(id)));
    }
    assert.deepEqual(kindsOf(network), ["normal", "confChange", "confChange"]);
    assert.deepEqual(votersOf(network, 5n), [1n, 2n, 3n, 4n, 5n]);
  });

  test("a new leader proposes no change before it has applied what it took over", () => {
    const network = led();
    network.isolate(3n);
    network.fateOf = ({ kind }) => (kind === "appendResponse" ? "drop" : "deliver");
    network.member(1n).core.proposeConfChange(change("auto", add(4n)));
    network.settle();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "append" ? "hold" : "deliver");
    network.elect(2n);
    proposeChange(network, 2n, change("auto", add(5n)));
    assert.deepEqual(kindsOf(network, 2n), ["normal", "confChange", "normal", "normal"]);
    network.heal();
    network.release();
    network.settle();
    network.tick(2, [2n]);
    assert.deepEqual(votersOf(network, 2n), [1n, 2n, 3n, 4n]);
  });

  test("proposeConfChange() that does not fit the configuration becomes an empty entry", () => {
    const network = led();
    proposeChange(network, 1n, change("auto"));
    assert.deepEqual(kindsOf(network), normal(2), "nothing joint is there to be left");
    proposeChange(network, 1n, change("jointExplicit", add(4n)));
    proposeChange(network, 1n, change("auto", add(5n)));
    assert.deepEqual(kindsOf(network).slice(2), ["confChange", "normal"], "a joint one can only be left");
    proposeChange(network, 1n, change("auto"));
    assert.deepEqual(network.member(1n).core.confState, {
      voters: [1n, 2n, 3n, 4n],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    });
  });

  test("proposeConfChange() reaches the leader from a follower, once", () => {
    const network = led();
    network.join(4n);
    proposeChange(network, 3n, change("auto", add(4n)));
    const [message] = network.sentOf("propose");
    assert.ok(message);
    network.member(1n).core.step(message);
    network.settle();
    assert.deepEqual(kindsOf(network), ["normal", "confChange"]);
  });
});

suite("Raft: members come and go", () => {
  test("an added voter catches up, from the log or from a snapshot", () => {
    for (const isCut of [false, true]) {
      const network = led();
      for (const text of ["a", "b"]) network.propose(1n, text);
      network.settle();
      if (isCut) network.member(1n).compact(3);
      network.join(4n);
      proposeChange(network, 1n, change("auto", add(4n)));
      network.tick(3, [1n]);
      assert.deepEqual(network.member(4n).disk.state, ["a", "b"]);
      assert.deepEqual(votersOf(network, 4n), [1n, 2n, 3n, 4n]);
      assert.equal(network.sentOf("snapshot").length, isCut ? 1 : 0);
    }
  });

  test("an added voter does not make its leader step down before it could answer", () => {
    const network = led({ voters: [1n] });
    network.tick(9, [1n]);
    proposeChange(network, 1n, change("auto", add(2n)));
    network.tick(5, [1n]);
    assert.equal(network.member(1n).core.status.role, "leader");
    network.tick(20, [1n]);
    assert.equal(network.member(1n).core.status.role, "follower", "it never answered");
  });

  test("an added voter counts for the quorum at once", () => {
    const network = led({ voters: [1n] });
    proposeChange(network, 1n, change("auto", add(2n)));
    network.propose(1n, "x");
    network.settle();
    assert.deepEqual(network.member(1n).disk.state, []);
    network.join(2n);
    network.tick(2, [1n]);
    assert.deepEqual(network.member(2n).disk.state, ["x"]);
    assert.deepEqual(network.member(1n).disk.state, ["x"]);
  });

  test("a removal that makes the quorum smaller commits what waits", () => {
    const network = led({ voters: [1n, 2n] });
    network.member(1n).isApplyingSlow = true;
    proposeChange(network, 1n, change("auto", remove(2n)));
    network.isolate(2n);
    network.propose(1n, "x");
    network.settle();
    assert.equal(network.member(1n).core.status.commit, 2);
    network.member(1n).isApplyingSlow = false;
    network.member(1n).applyAll();
    network.settle();
    assert.deepEqual(network.member(1n).disk.state, ["x"]);
  });

  test("a removed member is told nothing more, and may not lead", () => {
    const network = led();
    proposeChange(network, 1n, change("auto", remove(3n)));
    network.forgetSent();
    network.propose(1n, "x");
    network.tick(3, [1n]);
    assert.deepEqual(
      network.sent.filter(({ to }) => to === 3n),
      [],
    );
    assert.deepEqual(votersOf(network, 3n), [1n, 2n], "it has learned of its removal");
    for (let i = 0; i < 100; i += 1) network.member(3n).core.tick();
    network.member(3n).core.campaign();
    assert.equal(network.member(3n).core.status.role, "follower");
  });

  test("a leader that is removed, or made a learner, steps down when it applies that", () => {
    for (const [single, isLearner] of [
      [remove(1n), false],
      [learn(1n), true],
    ] as const) {
      const network = led();
      proposeChange(network, 1n, change("auto", single));
      const { role, leader, term, isLearner: listens } = network.member(1n).core.status;
      assert.deepEqual(
        { role, leader, term, listens },
        { role: "follower", leader: 0n, term: 1, listens: isLearner },
      );
      network.tick(3, [2n, 3n]);
      network.elect(2n);
      network.propose(2n, "x");
      network.tick(2, [2n]);
      assert.deepEqual(network.member(3n).disk.state, ["x"]);
      assert.deepEqual(network.member(1n).disk.state, isLearner ? ["x"] : []);
    }
  });

  test("applyConfChange() refuses to remove the last voter", () => {
    const network = led({ voters: [1n], learners: [2n] });
    assert.throws(() => network.member(1n).core.applyConfChange(change("auto", remove(1n))), {
      code: "ECONFCHANGE",
      message: "removed all voters",
    });
    assert.deepEqual(votersOf(network), [1n]);
    assert.equal(network.propose(1n, "x"), "accepted");
  });
});

suite("Raft: learners", () => {
  test("a learner is told everything, campaigns never, and leads when it is made a voter", () => {
    const network = led();
    network.join(4n);
    proposeChange(network, 1n, change("auto", learn(4n)));
    network.propose(1n, "x");
    network.settle();
    const { core, disk } = network.member(4n);
    assert.deepEqual([core.status.isLearner, disk.state], [true, ["x"]]);
    for (let i = 0; i < 100; i += 1) core.tick();
    core.campaign();
    assert.equal(core.status.role, "follower");
    proposeChange(network, 1n, change("auto", add(4n)));
    assert.equal(core.status.isLearner, false);
    assert.equal(network.elect(4n).core.status.role, "leader");
  });

  test("learners are not counted among the voters, neither for entries nor for elections", () => {
    const network = led({ voters: [1n, 2n], learners: [8n, 9n] });
    network.cut(1n, 2n);
    network.propose(1n, "x");
    network.settle();
    assert.equal(network.member(1n).core.status.commit, 1);
    network.heal();
    network.isolate(1n);
    network.elect(2n);
    assert.notEqual(network.member(2n).core.status.role, "leader");
    assert.deepEqual(network.sentOf("preVote", { to: 9n }), []);
  });

  test("step() gives a vote though this member is a learner: it may have been promoted, and not know it", () => {
    const network = led({ learners: [9n] });
    const { core } = network.member(9n);
    const last = core.status.lastIndex;
    core.step({ kind: "vote", from: 2n, to: 9n, term: 5, last: { term: 1, index: last }, isTransfer: true });
    assert.equal(core.status.vote, 2n);
  });

  test("a voter that is made a learner votes no more", () => {
    const network = led();
    proposeChange(network, 1n, change("auto", learn(3n)));
    assert.deepEqual([votersOf(network), network.member(1n).core.confState.learners], [[1n, 2n], [3n]]);
    network.cut(1n, 2n);
    network.propose(1n, "x");
    network.settle();
    assert.equal(network.member(1n).core.status.commit, 2);
  });
});

suite("Raft: joint configurations (Raft §6)", () => {
  const replaceTwo = [add(4n), add(5n), remove(2n), remove(3n)];

  test("several changes are made by a joint configuration that the leader leaves by itself", () => {
    const network = led();
    for (const id of [4n, 5n]) network.join(id);
    proposeChange(network, 1n, change("auto", ...replaceTwo));
    network.tick(3, [1n]);
    assert.deepEqual(kindsOf(network), ["normal", "confChange", "confChange"]);
    for (const id of [1n, 4n, 5n]) {
      const { voters, votersOutgoing } = network.member(id).core.confState;
      assert.deepEqual([voters, votersOutgoing], [[1n, 4n, 5n], []]);
    }
  });

  test("a joint configuration commits by both majorities only", () => {
    for (const away of [
      [2n, 3n],
      [4n, 5n],
    ]) {
      const network = led();
      for (const id of [4n, 5n]) network.join(id);
      proposeChange(network, 1n, change("jointExplicit", ...replaceTwo));
      network.tick(2, [1n]);
      const { commit } = network.member(1n).core.status;
      for (const id of away) network.isolate(id);
      network.propose(1n, "x");
      network.settle();
      assert.equal(network.member(1n).core.status.commit, commit, `without ${away}`);
      network.heal();
      network.isolate(away[0] ?? 0n);
      network.tick(2, [1n]);
      assert.equal(network.member(1n).core.status.commit, commit + 1);
    }
  });

  test("a joint configuration elects by both majorities only", () => {
    for (const { away, isWon } of [
      { away: [1n], isWon: true },
      { away: [1n, 2n], isWon: false },
      { away: [1n, 5n], isWon: false },
    ]) {
      const network = led();
      for (const id of [4n, 5n]) network.join(id);
      proposeChange(network, 1n, change("jointExplicit", ...replaceTwo));
      network.tick(2, [1n]);
      for (const id of away) network.isolate(id);
      network.elect(4n);
      assert.equal(network.member(4n).core.status.role === "leader", isWon, `without ${away}`);
    }
  });

  test("an explicit joint configuration stays until it is told to go", () => {
    const network = led();
    proposeChange(network, 1n, change("jointExplicit", learn(3n)));
    network.tick(3, [1n]);
    const { learnersNext, votersOutgoing, autoLeave } = network.member(1n).core.confState;
    assert.deepEqual(
      { learnersNext, votersOutgoing, autoLeave },
      {
        learnersNext: [3n],
        votersOutgoing: THREE,
        autoLeave: false,
      },
    );
    proposeChange(network, 2n, change("auto"));
    assert.deepEqual(network.member(1n).core.confState.learners, [3n]);
  });

  test("a new leader leaves the joint configuration that it finds", () => {
    const voters = [1n, 2n, 3n, 4n, 5n];
    const network = led({ voters });
    // The entry that leaves it does not get off the first leader.
    network.fateOf = (message) => {
      if (message.kind !== "append") return "deliver";
      const isLeaving = message.entries.some(({ kind, data }) => kind === "confChange" && data.length === 0);
      return isLeaving ? "drop" : "deliver";
    };
    proposeChange(network, 1n, change("jointImplicit", learn(5n)));
    network.tick(1, [1n]);
    for (const id of voters) assert.equal(network.member(id).core.confState.autoLeave, true);
    network.isolate(1n);
    network.fateOf = () => "deliver";
    network.elect(2n);
    const left = {
      voters: [1n, 2n, 3n, 4n],
      votersOutgoing: [],
      learners: [5n],
      learnersNext: [],
      autoLeave: false,
    };
    assert.deepEqual(network.member(2n).core.confState, left);
    network.heal();
    network.tick(3, [2n]);
    for (const id of voters) assert.deepEqual(network.member(id).core.confState, left);
  });

  test("a transfer that ends leaves the joint configuration to be left", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "timeoutNow" ? "drop" : "deliver");
    network.member(1n).core.proposeConfChange(change("jointImplicit", learn(3n)));
    network.member(1n).core.transferLeader(2n);
    network.settle();
    assert.equal(network.member(1n).core.confState.autoLeave, true);
    network.tick(12, [1n]);
    assert.equal(network.member(1n).core.status.transferee, 0n);
    assert.deepEqual(network.member(1n).core.confState.learners, [3n]);
  });
});
