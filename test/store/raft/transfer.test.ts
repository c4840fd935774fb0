import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];

function led(learners: readonly bigint[] = []): RaftNetwork {
  const network = new RaftNetwork({ voters: THREE, learners });
  network.elect(1n);
  network.settle();
  network.forgetSent();
  return network;
}

/** A transfer to 3 that does not come about: the message to campaign gets lost. */
function pending(): RaftNetwork {
  const network = led();
  network.fateOf = ({ kind }) => (kind === "timeoutNow" ? "drop" : "deliver");
  network.member(1n).core.transferLeader(3n);
  network.settle();
  assert.equal(network.member(1n).core.status.transferee, 3n);
  return network;
}

const leaderOf = (network: RaftNetwork) => [network.leader.id, network.leader.core.status.term];

suite("Raft: leadership transfer (thesis §3.10)", () => {
  test("transferLeader() to a member that is up to date takes one election, without pre-vote or lease", () => {
    const network = led();
    network.member(1n).core.transferLeader(2n);
    network.settle();
    assert.deepEqual(leaderOf(network), [2n, 2]);
    assert.deepEqual(network.sentOf("preVote"), []);
    assert.deepEqual(
      network.sentOf("vote").map(({ isTransfer }) => isTransfer),
      [true, true],
    );
    network.propose(1n, "x");
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, ["x"]);
    network.member(2n).core.transferLeader(1n);
    network.settle();
    assert.deepEqual(leaderOf(network), [1n, 3]);
  });

  test("transferLeader() at a follower is passed on to the leader", () => {
    const network = led();
    network.member(3n).core.transferLeader(2n);
    network.settle();
    assert.deepEqual(leaderOf(network), [2n, 2]);
  });

  test("transferLeader() brings a member that lags up to date first", () => {
    const network = led();
    network.isolate(3n);
    for (const text of ["a", "b"]) network.propose(1n, text);
    network.settle();
    network.heal();
    network.member(1n).core.transferLeader(3n);
    assert.deepEqual(network.sentOf("timeoutNow"), []);
    network.tick(2, [1n]);
    assert.deepEqual(leaderOf(network), [3n, 2]);
    assert.deepEqual(network.member(3n).disk.state, ["a", "b"]);
  });

  test("transferLeader() to a member that needs a snapshot waits until it is installed", () => {
    const network = led();
    network.isolate(3n);
    network.propose(1n, "a");
    network.settle();
    network.member(1n).compact(2);
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "hold" : "deliver");
    network.member(1n).core.transferLeader(3n);
    network.tick(2, [1n]);
    assert.deepEqual([network.held.length, network.sentOf("timeoutNow").length], [1, 0]);
    const member = network.member(3n);
    member.isDiskSlow = true;
    network.release();
    network.settle();
    assert.deepEqual([member.writes.length > 0, network.sentOf("timeoutNow").length], [true, 0]);
    member.isDiskSlow = false;
    member.flush();
    network.settle();
    assert.deepEqual(leaderOf(network), [3n, 2]);
  });

  test("a transfer that has not come about ends after an election timeout, and the leader goes on", () => {
    const network = pending();
    assert.equal(network.propose(1n, "x"), "transferring");
    network.tick(9, [1n]);
    assert.equal(network.member(1n).core.status.transferee, 3n);
    network.tick(1, [1n]);
    assert.deepEqual(
      [network.member(1n).core.status.transferee, network.member(1n).core.status.role],
      [0n, "leader"],
    );
    assert.equal(network.propose(1n, "x"), "accepted");
  });

  test("transferLeader() to the leader itself, a learner or a stranger does nothing", () => {
    for (const to of [1n, 8n, 9n]) {
      const network = led([9n]);
      network.member(1n).core.transferLeader(to);
      network.settle();
      assert.deepEqual(leaderOf(network), [1n, 1]);
      assert.equal(network.propose(1n, "x"), "accepted");
    }
  });

  test("transferLeader() back to the leader ends a pending transfer", () => {
    const network = pending();
    network.member(1n).core.transferLeader(1n);
    assert.equal(network.member(1n).core.status.transferee, 0n);
    assert.equal(network.propose(1n, "x"), "accepted");
  });

  test("transferLeader() to another member takes the place of a pending one", () => {
    const network = pending();
    network.heal();
    network.member(1n).core.transferLeader(2n);
    network.settle();
    assert.deepEqual(leaderOf(network), [2n, 2]);
  });

  test("transferLeader() to the same member again does not lengthen the wait", () => {
    const network = pending();
    network.tick(5, [1n]);
    network.member(1n).core.transferLeader(3n);
    network.tick(5, [1n]);
    assert.equal(network.member(1n).core.status.transferee, 0n);
  });

  test("a pending transfer ends when its member is removed or made a learner", () => {
    for (const kind of ["remove", "addLearner"] as const) {
      const network = led();
      network.fateOf = (message) => (message.kind === "timeoutNow" ? "drop" : "deliver");
      const leader = network.member(1n);
      leader.isApplyingSlow = true;
      leader.core.proposeConfChange({
        transition: "auto",
        changes: [{ kind, id: 3n }],
        context: Buffer.alloc(0),
      });
      network.settle();
      leader.core.transferLeader(3n);
      network.settle();
      leader.applyAll();
      assert.equal(leader.core.status.transferee, 0n, kind);
      assert.equal(network.propose(1n, "x"), "accepted");
    }
  });

  test("a pending transfer does not outlive its leader", () => {
    const network = pending();
    network.heal();
    network.elect(2n);
    assert.deepEqual(leaderOf(network), [2n, 2]);
    network.elect(1n);
    assert.equal(network.propose(1n, "x"), "accepted");
  });

  test("step() of the order to campaign is followed by followers alone, and by who may vote", () => {
    const network = led([9n]);
    const order = { kind: "timeoutNow", from: 1n, term: 1 } as const;
    for (const to of [1n, 9n]) network.member(to).core.step({ ...order, to });
    network.settle();
    assert.deepEqual(leaderOf(network), [1n, 1]);
    network.member(2n).core.step({ ...order, term: 0, to: 2n });
    network.settle();
    assert.deepEqual(leaderOf(network), [1n, 1]);
  });
});
