import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];

function led(options: { readonly voters?: readonly bigint[]; readonly learners?: readonly bigint[] } = {}) {
  const network = new RaftNetwork({ voters: THREE, ...options });
  network.elect(1n);
  network.propose(1n, "x");
  network.settle();
  network.forgetSent();
  return network;
}

const readsOf = (network: RaftNetwork, id: bigint) =>
  network.member(id).readStates.map(({ index, context }) => [index, context]);

suite("Raft: reads (thesis §6.4)", () => {
  test("readIndex() is answered with the commit when a majority has confirmed the leader", () => {
    const network = led();
    network.isolate(3n);
    assert.equal(network.member(1n).core.readIndex(7n), "accepted");
    assert.equal(network.member(1n).work(), true);
    assert.deepEqual(readsOf(network, 1n), []);
    network.settle();
    assert.deepEqual(readsOf(network, 1n), [[2, 7n]]);
  });

  test("readIndex() answers with the commit at the time of asking, not a later one", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "heartbeatResponse" ? "hold" : "deliver");
    network.member(1n).core.readIndex(7n);
    network.settle();
    network.propose(1n, "y");
    network.settle();
    assert.equal(network.member(1n).core.status.commit, 3);
    network.release();
    network.settle();
    assert.deepEqual(readsOf(network, 1n), [[2, 7n]]);
  });

  test("readIndex() is never answered by a leader that has been replaced", () => {
    const network = led();
    network.isolate(1n);
    network.elect(2n);
    network.propose(2n, "y");
    network.settle();
    assert.equal(network.member(1n).core.status.role, "leader", "it does not know it yet");
    assert.equal(network.member(1n).core.readIndex(7n), "accepted");
    network.settle();
    network.tick(5, [1n]);
    network.heal();
    network.tick(3);
    assert.equal(network.member(1n).core.status.role, "follower");
    assert.deepEqual(readsOf(network, 1n), []);
  });

  test("a read of an earlier reign is not answered by a later one of the same leader", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "heartbeat" ? "drop" : "deliver");
    network.member(1n).core.readIndex(7n);
    network.elect(2n);
    network.elect(1n);
    network.heal();
    network.member(1n).core.readIndex(8n);
    network.settle();
    assert.deepEqual(readsOf(network, 1n), [[4, 8n]]);
  });

  test("readIndex() does not take an answer for it that was sent before the question", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "heartbeatResponse" ? "hold" : "deliver");
    network.tick(1, [1n]);
    const [early] = network.held;
    assert.ok(early);
    network.fateOf = ({ kind }) => (kind === "heartbeat" ? "drop" : "deliver");
    network.member(1n).core.readIndex(7n);
    network.release();
    network.settle();
    assert.deepEqual(readsOf(network, 1n), []);
  });

  test("reads that wait together are confirmed by one heartbeat's answers", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "heartbeat" ? "drop" : "deliver");
    for (const context of [1n, 2n, 3n, 4n]) network.member(1n).core.readIndex(context);
    network.settle();
    assert.deepEqual(readsOf(network, 1n), []);
    network.heal();
    network.forgetSent();
    network.tick(1, [1n]);
    assert.deepEqual(
      network.sentOf("heartbeat").map(({ readPosition }) => readPosition),
      [4, 4],
    );
    assert.deepEqual(
      readsOf(network, 1n).map(([, context]) => context),
      [1n, 2n, 3n, 4n],
    );
  });

  test("a heartbeat of a leader whom nobody asks carries no position", () => {
    const network = led();
    network.member(1n).core.readIndex(1n);
    network.settle();
    network.forgetSent();
    network.tick(1, [1n]);
    assert.deepEqual(
      network.sentOf("heartbeat").map(({ readPosition }) => readPosition),
      [0, 0],
    );
  });

  test("readIndex() waits until the leader has committed an entry of its term", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "append" ? "hold" : "deliver");
    network.elect(2n);
    assert.equal(network.member(2n).core.readIndex(7n), "accepted");
    assert.equal(network.member(3n).core.readIndex(8n), "noLeader", "member 3 has not heard the leader yet");
    network.settle();
    network.tick(1, [2n]);
    assert.equal(network.member(3n).core.readIndex(9n), "accepted");
    network.settle();
    assert.deepEqual([readsOf(network, 2n), readsOf(network, 3n)], [[], []]);
    network.heal();
    network.release();
    network.settle();
    assert.deepEqual([readsOf(network, 2n), readsOf(network, 3n)], [[[3, 7n]], [[3, 9n]]]);
  });

  test("readIndex() at a follower is answered by the leader", () => {
    const network = led({ learners: [9n] });
    for (const id of [2n, 9n]) assert.equal(network.member(id).core.readIndex(id), "accepted");
    network.settle();
    assert.deepEqual([readsOf(network, 2n), readsOf(network, 9n)], [[[2, 2n]], [[2, 9n]]]);
    assert.deepEqual(readsOf(network, 1n), []);
  });

  test("a follower's read is lost with its message, and may be asked again", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "readIndex" ? "drop" : "deliver");
    assert.equal(network.member(2n).core.readIndex(1n), "accepted");
    network.settle();
    network.heal();
    network.tick(3);
    assert.deepEqual(readsOf(network, 2n), []);
    network.member(2n).core.readIndex(2n);
    network.settle();
    assert.deepEqual(readsOf(network, 2n), [[2, 2n]]);
  });

  test("a follower's read that reaches a leader of a later term is dropped", () => {
    const network = led();
    network.fateOf = ({ kind }) => (kind === "readIndex" ? "hold" : "deliver");
    network.member(3n).core.readIndex(7n);
    network.settle();
    network.elect(2n);
    for (const message of network.held) network.member(2n).core.step(message);
    network.settle();
    assert.deepEqual([readsOf(network, 3n), network.sentOf("readIndexResponse")], [[], []]);
  });

  test("learners' answers do not confirm a leader", () => {
    const network = led({ voters: [1n, 2n], learners: [9n] });
    network.cut(1n, 2n);
    network.member(1n).core.readIndex(7n);
    network.settle();
    network.tick(3, [1n]);
    assert.deepEqual(readsOf(network, 1n), []);
    network.heal();
    network.tick(1, [1n]);
    assert.deepEqual(readsOf(network, 1n), [[2, 7n]]);
  });

  test("readIndex() of a sole voter is answered at once, with learners and without", () => {
    for (const learners of [[], [9n]]) {
      const network = led({ voters: [1n], learners });
      network.isolate(1n);
      network.member(1n).core.readIndex(7n);
      network.member(1n).work();
      assert.deepEqual(readsOf(network, 1n), [[2, 7n]]);
    }
  });

  test("readIndex() refuses above the limit of reads that wait, and a follower's is dropped", () => {
    const network = new RaftNetwork({ voters: THREE, limits: { pendingReads: 2 } });
    network.elect(1n);
    network.fateOf = ({ kind }) => (kind === "heartbeat" ? "drop" : "deliver");
    const { core } = network.member(1n);
    assert.deepEqual(
      [1n, 2n, 3n].map((context) => core.readIndex(context)),
      ["accepted", "accepted", "tooMany"],
    );
    network.member(2n).core.readIndex(4n);
    network.settle();
    network.heal();
    network.tick(1, [1n]);
    assert.deepEqual(
      [readsOf(network, 1n), readsOf(network, 2n)],
      [
        [
          [1, 1n],
          [1, 2n],
        ],
        [],
      ],
    );
    assert.equal(core.readIndex(5n), "accepted");
  });

  test("readIndex() without a leader says so", () => {
    const network = new RaftNetwork({ voters: THREE });
    assert.equal(network.member(1n).core.readIndex(1n), "noLeader");
    network.isolate(1n);
    network.member(1n).core.campaign();
    assert.equal(network.member(1n).core.readIndex(2n), "noLeader");
  });

  test("reads that wait are answered when a change leaves a quorum that has confirmed them", () => {
    const network = led({ voters: [1n, 2n] });
    const remove = {
      transition: "auto",
      changes: [{ kind: "remove", id: 2n }],
      context: Buffer.alloc(0),
    } as const;
    network.fateOf = ({ kind }) => (kind === "heartbeat" ? "drop" : "deliver");
    network.member(1n).core.readIndex(7n);
    network.member(1n).core.proposeConfChange(remove);
    network.settle();
    assert.deepEqual(network.member(1n).core.confState.voters, [1n]);
    assert.deepEqual(readsOf(network, 1n), [[2, 7n]]);
  });
});
