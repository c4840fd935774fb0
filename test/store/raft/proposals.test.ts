import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { RaftLimits } from "../../../store/raft/types.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];

function led(limits: Partial<RaftLimits> = {}): RaftNetwork {
  const network = new RaftNetwork({ voters: THREE, limits });
  network.elect(1n);
  network.settle();
  network.forgetSent();
  return network;
}

const statesOf = (network: RaftNetwork) => [...network.members.values()].map(({ disk }) => disk.state);

suite("Raft: proposals", () => {
  test("propose() at a follower reaches the log by way of the leader", () => {
    const network = led();
    assert.deepEqual([network.propose(2n, "a"), network.propose(3n, "b")], ["accepted", "accepted"]);
    network.settle();
    assert.deepEqual(statesOf(network), [
      ["a", "b"],
      ["a", "b"],
      ["a", "b"],
    ]);
  });

  test("propose() without a leader says so, at a follower and at a candidate", () => {
    const network = new RaftNetwork({ voters: THREE });
    assert.equal(network.propose(1n, "x"), "noLeader");
    network.isolate(1n);
    network.member(1n).core.campaign();
    assert.equal(network.propose(1n, "x"), "noLeader");
    network.settle();
    assert.deepEqual(statesOf(network), [[], [], []]);
  });

  test("a forwarded proposal is appended once, however often its message arrives", () => {
    const network = led();
    network.propose(2n, "once");
    network.settle();
    const [message] = network.sentOf("propose");
    assert.ok(message);
    for (let i = 0; i < 3; i += 1) network.member(1n).core.step(message);
    network.settle();
    // Another one with the same bytes is another proposal.
    network.propose(2n, "once");
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, ["once", "once"]);
  });

  test("a forwarded proposal that arrives in a later term is dropped, by any leader", () => {
    for (const next of [1n, 2n]) {
      const network = led();
      network.propose(3n, "late");
      network.settle();
      const [message] = network.sentOf("propose");
      assert.ok(message);
      if (next === 1n) network.elect(2n);
      network.elect(next);
      assert.equal(network.leader.id, next);
      network.member(next).core.step({ ...message, to: next });
      network.settle();
      assert.deepEqual(network.member(3n).disk.state, ["late"], "as it was appended in its own term");
    }
  });

  test("a forwarded proposal that meets a follower is dropped", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "propose" ? "hold" : "deliver");
    network.propose(3n, "x");
    network.settle();
    const [message] = network.held;
    assert.ok(message);
    network.member(2n).core.step({ ...message, to: 2n });
    network.settle();
    assert.deepEqual([statesOf(network), network.sentOf("propose").length], [[[], [], []], 1]);
  });

  test("a proposal that was dropped once may still come in time", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "timeoutNow" ? "drop" : "deliver");
    network.member(1n).core.transferLeader(2n);
    network.propose(3n, "x");
    network.settle();
    assert.deepEqual(statesOf(network), [[], [], []]);
    network.tick(10, [1n]);
    const [message] = network.sentOf("propose");
    assert.ok(message);
    network.member(1n).core.step(message);
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, ["x"]);
  });

  test("propose() refuses above the uncommitted bytes until some are committed; a large one passes alone", () => {
    const network = led({ uncommittedBytes: 100 });
    network.fateOf = ({ kind }) => (kind === "appendResponse" ? "drop" : "deliver");
    assert.equal(network.propose(1n, "x".repeat(500)), "accepted");
    assert.equal(network.propose(1n, "x"), "tooManyUncommitted");
    network.settle();
    assert.equal(network.propose(1n, "x"), "tooManyUncommitted");
    network.heal();
    network.tick(1, [1n]);
    assert.deepEqual(
      [60, 40, 1].map((bytes) => network.propose(1n, "x".repeat(bytes))),
      ["accepted", "accepted", "tooManyUncommitted"],
    );
    network.settle();
    assert.equal(network.propose(1n, "x".repeat(100)), "accepted");
    network.settle();
    assert.equal(network.member(2n).disk.state.length, 4);
  });

  test("a leader whose disk hangs while the others commit refuses above the uncommitted bytes, forwarded or not", () => {
    const network = led({ uncommittedBytes: 100 });
    const leader = network.member(1n);
    leader.isDiskSlow = true;
    for (let i = 0; i < 10; i += 1) {
      network.propose(2n, "x".repeat(40));
      network.settle();
    }
    assert.equal(network.propose(1n, "x".repeat(40)), "tooManyUncommitted");
    assert.equal(leader.core.status.lastIndex - leader.core.status.applied, 2);
    leader.isDiskSlow = false;
    leader.flush();
    network.settle();
    assert.equal(network.propose(1n, "x"), "accepted");
  });

  test("a new leader begins with no bytes uncommitted of its own, whatever it has taken over", () => {
    const network = led({ uncommittedBytes: 10 });
    network.isolate(3n);
    network.fateOf = ({ kind }) => (kind === "appendResponse" ? "drop" : "deliver");
    network.propose(1n, "0123456789");
    network.settle();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "appendResponse" ? "hold" : "deliver");
    network.elect(2n);
    assert.equal(network.propose(2n, "ab"), "accepted");
    network.heal();
    network.release();
    network.settle();
    network.tick(2, [2n]);
    assert.equal(network.propose(2n, "0123456789"), "accepted");
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, ["0123456789", "ab", "0123456789"]);
  });

  test("propose() is refused by a leader that hands over", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "timeoutNow" ? "drop" : "deliver");
    network.member(1n).core.transferLeader(2n);
    assert.equal(network.propose(1n, "x"), "transferring");
  });

  test("propose() is refused by a leader that has been removed and was told to go on", () => {
    const network = new RaftNetwork({ voters: THREE, policy: { stepDownOnRemoval: false } });
    network.elect(1n);
    const changes = [{ kind: "remove", id: 1n }] as const;
    network.member(1n).core.proposeConfChange({ transition: "auto", changes, context: Buffer.alloc(0) });
    network.settle();
    assert.equal(network.member(1n).core.status.role, "leader");
    assert.equal(network.propose(1n, "x"), "removed");
  });
});
