import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { VoteMessage } from "../../../store/raft/message.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];
const ONLY_CHECK_QUORUM = { preVote: false, checkQuorum: true };

const statusOf = (network: RaftNetwork, id: bigint) => {
  const { role, term, leader } = network.member(id).core.status;
  return [role, term, leader];
};

function vote(to: bigint, from: bigint, term: number, options: Partial<VoteMessage> = {}): VoteMessage {
  return { kind: "vote", from, to, term, last: { term: 9, index: 9 }, isTransfer: false, ...options };
}

suite("Raft: the leader's lease (thesis §6.2)", () => {
  test("tick() makes a leader step down that no quorum has answered for an election timeout", () => {
    const network = new RaftNetwork({ voters: THREE });
    network.elect(1n);
    network.isolate(1n);
    // It heard the others in the present timeout, and hears nothing in the whole of the next.
    network.tick(19, [1n]);
    assert.equal(network.member(1n).core.status.role, "leader");
    network.tick(1, [1n]);
    assert.deepEqual(statusOf(network, 1n), ["follower", 1, 0n]);
  });

  test("tick() keeps a leader that a quorum answers, one member being away", () => {
    const network = new RaftNetwork({ voters: THREE });
    network.elect(1n);
    network.isolate(3n);
    network.tick(100, [1n, 2n]);
    assert.deepEqual(statusOf(network, 1n), ["leader", 1, 1n]);
  });

  test("tick() without the rule keeps a leader that nobody answers", () => {
    const network = new RaftNetwork({ voters: THREE, policy: { preVote: false, checkQuorum: false } });
    network.elect(1n);
    network.isolate(1n);
    network.tick(100, [1n]);
    assert.equal(network.member(1n).core.status.role, "leader");
  });

  test("learners' answers do not keep a leader", () => {
    const network = new RaftNetwork({ voters: [1n, 2n], learners: [8n, 9n] });
    network.elect(1n);
    network.cut(1n, 2n);
    network.tick(20, [1n]);
    assert.equal(network.member(1n).core.status.role, "follower");
  });

  test("step() of a vote is not even read by who hears a leader, and is once the lease is over", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_CHECK_QUORUM });
    network.elect(1n);
    const { core } = network.member(2n);
    for (let i = 0; i < 9; i += 1) core.tick();
    core.step(vote(2n, 3n, 7));
    network.settle();
    assert.deepEqual(statusOf(network, 2n), ["follower", 1, 1n]);
    core.tick();
    core.step(vote(2n, 3n, 7));
    assert.deepEqual([core.status.term, core.status.vote], [7, 3n]);
  });

  test("step() of a vote that the leader asked for ignores the lease", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_CHECK_QUORUM });
    network.elect(1n);
    const { core } = network.member(2n);
    core.step(vote(2n, 3n, 7, { isTransfer: true }));
    assert.deepEqual([core.status.term, core.status.vote], [7, 3n]);
  });

  test("a leader has a lease of its own: a vote does not depose it", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_CHECK_QUORUM });
    network.elect(1n);
    network.tick(1, [1n]);
    network.member(1n).core.step(vote(1n, 3n, 7));
    assert.deepEqual(statusOf(network, 1n), ["leader", 1, 1n]);
  });

  test("a removed member, which does not know it, cannot disturb the others", () => {
    for (const preVote of [false, true]) {
      const network = new RaftNetwork({ voters: THREE, policy: { preVote, checkQuorum: true } });
      network.elect(1n);
      network.isolate(3n);
      network.member(1n).core.proposeConfChange({
        transition: "auto",
        changes: [{ kind: "remove", id: 3n }],
        context: Buffer.alloc(0),
      });
      network.settle();
      network.heal();
      for (let i = 0; i < 100; i += 1) network.tick();
      assert.deepEqual(statusOf(network, 1n), ["leader", 1, 1n]);
      assert.equal(network.propose(2n, "x"), "accepted");
      network.settle();
      assert.deepEqual(network.member(1n).disk.state, ["x"]);
    }
  });

  test("a candidate that went ahead in terms is freed: its answer makes the leader step down", () => {
    const network = new RaftNetwork({ voters: THREE, policy: ONLY_CHECK_QUORUM });
    network.elect(1n);
    network.isolate(3n);
    network.tick(19 * 3, [3n]);
    assert.deepEqual(statusOf(network, 3n), ["candidate", 4, 0n]);
    network.heal();
    network.tick(1, [1n]);
    assert.deepEqual(statusOf(network, 1n).slice(0, 2), ["follower", 4]);
    network.elect(1n);
    assert.deepEqual(statusOf(network, 3n), ["follower", 5, 1n]);
  });
});
