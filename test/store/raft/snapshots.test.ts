import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { SnapshotMessage } from "../../../store/raft/message.ts";
import type { ConfState, SnapshotMeta } from "../../../store/raft/types.ts";
import type { RaftMember } from "../../support/raft-member.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

const THREE = [1n, 2n, 3n];
const PLAIN = { preVote: false, checkQuorum: false };
const CONF: ConfState = {
  voters: THREE,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** 1 leads, and has cut its log behind what 2 has and 3 has not. */
function cutLog(): RaftNetwork {
  const network = new RaftNetwork({ voters: THREE, policy: PLAIN });
  network.elect(1n);
  network.isolate(3n);
  for (const text of ["a", "b", "c"]) {
    network.propose(1n, text);
    network.settle();
  }
  network.member(1n).compact(4);
  network.forgetSent();
  return network;
}

/** Member 3 gets its snapshot, and has it not on disk yet. */
function snapshotOnSlowDisk(network: RaftNetwork): RaftMember {
  const member = network.member(3n);
  network.heal();
  network.fateOf = ({ kind }) => (kind === "snapshot" ? "hold" : "deliver");
  network.tick(1, [1n]);
  member.isDiskSlow = true;
  network.heal();
  network.release();
  network.settle();
  assert.equal(member.writes.at(-1)?.snapshot?.index, 4);
  return member;
}

const progressOf = (network: RaftNetwork, id: bigint) => {
  const progress = network.member(1n).core.progress().get(id);
  assert.ok(progress);
  return progress;
};

function message(snapshot: SnapshotMeta, term = 5): SnapshotMessage {
  return { kind: "snapshot", from: 2n, to: 1n, term, snapshot };
}

/** Member 1 with these terms on disk, all committed up to `commit`; 2 sends snapshots. */
function receiver(terms: readonly number[], commit = 0): RaftNetwork {
  const network = new RaftNetwork({
    voters: THREE,
    policy: PLAIN,
    disks: new Map([[1n, { terms, commit }]]),
  });
  network.settle();
  network.forgetSent();
  return network;
}

suite("Raft: the leader's snapshots", () => {
  test("a follower whose entries are gone gets a snapshot, and then the entries behind it", () => {
    const network = cutLog();
    network.heal();
    network.propose(1n, "d");
    network.tick(2, [1n]);
    assert.deepEqual(
      network.sentOf("snapshot").map(({ to, snapshot }) => [to, snapshot.index, snapshot.term]),
      [[3n, 4, 1]],
    );
    const member = network.member(3n);
    assert.deepEqual(member.disk.state, ["a", "b", "c", "d"]);
    assert.deepEqual([member.disk.compacted.index, member.core.status.commit], [4, 5]);
    assert.equal(progressOf(network, 3n).state, "replicate");
  });

  test("a follower that is not heard gets none", () => {
    const network = new RaftNetwork({ voters: THREE });
    network.elect(1n);
    network.isolate(3n);
    // Two timeouts: in the second nothing is heard of 3.
    network.tick(25, [1n, 2n]);
    for (const text of ["a", "b"]) network.propose(1n, text);
    network.settle();
    network.member(1n).compact(3);
    network.member(1n).core.reportUnreachable(3n);
    network.tick(5, [1n, 2n]);
    network.propose(1n, "c");
    network.settle();
    assert.deepEqual([network.sentOf("snapshot"), progressOf(network, 3n).state], [[], "probe"]);
    network.heal();
    network.tick(2, [1n]);
    assert.equal(network.sentOf("snapshot").length, 1);
    assert.deepEqual(network.member(3n).disk.state, ["a", "b", "c"]);
  });

  test("no snapshot is sent while none can be made, and one as soon as it can", () => {
    const network = cutLog();
    const leader = network.member(1n);
    leader.hasSnapshot = false;
    network.heal();
    network.tick(3, [1n]);
    assert.deepEqual([network.sentOf("snapshot").length, network.member(3n).disk.state], [0, []]);
    leader.hasSnapshot = true;
    network.tick(1, [1n]);
    assert.deepEqual(network.member(3n).disk.state, ["a", "b", "c"]);
  });

  test("nothing more is sent to a follower while its snapshot is on the way", () => {
    const network = cutLog();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "hold" : "deliver");
    network.tick(1, [1n]);
    const { state, pendingSnapshot, next, isPaused } = progressOf(network, 3n);
    assert.deepEqual(
      { state, pendingSnapshot, next, isPaused },
      { state: "snapshot", pendingSnapshot: 4, next: 5, isPaused: true },
    );
    network.forgetSent();
    network.propose(1n, "d");
    network.tick(5, [1n]);
    assert.deepEqual(network.sentOf("append", { to: 3n }), []);
    assert.deepEqual(network.sentOf("snapshot"), []);
    network.release();
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, ["a", "b", "c", "d"]);
  });

  test("reportSnapshot() of a failure makes the leader try again with the next heartbeat's answer", () => {
    const network = cutLog();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "drop" : "deliver");
    network.tick(1, [1n]);
    network.member(1n).core.reportSnapshot(3n, "failed");
    const { state, next, pendingSnapshot, isPaused } = progressOf(network, 3n);
    assert.deepEqual(
      { state, next, pendingSnapshot, isPaused },
      { state: "probe", next: 2, pendingSnapshot: 0, isPaused: true },
    );
    network.heal();
    network.settle();
    assert.deepEqual(network.member(3n).disk.state, []);
    network.tick(1, [1n]);
    assert.deepEqual(network.member(3n).disk.state, ["a", "b", "c"]);
  });

  test("reportSnapshot() of a delivery goes on behind the snapshot", () => {
    const network = cutLog();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "hold" : "deliver");
    network.tick(1, [1n]);
    network.member(1n).core.reportSnapshot(3n, "delivered");
    const { state, next, pendingSnapshot, isPaused } = progressOf(network, 3n);
    assert.deepEqual(
      { state, next, pendingSnapshot, isPaused },
      { state: "probe", next: 5, pendingSnapshot: 0, isPaused: true },
    );
    network.heal();
    network.release();
    network.settle();
    assert.deepEqual([progressOf(network, 3n).state, progressOf(network, 3n).match], ["replicate", 4]);
  });

  test("reportSnapshot() changes nothing for a follower that got none, a stranger, or at a follower", () => {
    const network = cutLog();
    network.member(1n).core.reportSnapshot(2n, "failed");
    network.member(1n).core.reportSnapshot(9n, "failed");
    network.member(2n).core.reportSnapshot(3n, "delivered");
    assert.deepEqual([progressOf(network, 2n).state, progressOf(network, 2n).match], ["replicate", 4]);
  });

  test("an acknowledgement from behind the cut log ends the wait for the snapshot, whatever it came by", () => {
    const network = cutLog();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "drop" : "deliver");
    network.tick(1, [1n]);
    const answer = { kind: "appendResponse", from: 3n, to: 1n, term: 1, reject: false } as const;
    network.member(1n).core.step({ ...answer, index: 3 });
    assert.equal(progressOf(network, 3n).state, "snapshot");
    network.member(1n).core.step({ ...answer, index: 4 });
    assert.deepEqual([progressOf(network, 3n).state, progressOf(network, 3n).next], ["replicate", 5]);
  });

  test("a refusal while the snapshot is on its way does not end the wait for it", () => {
    const network = cutLog();
    network.heal();
    network.fateOf = ({ kind }) => (kind === "snapshot" ? "drop" : "deliver");
    network.tick(1, [1n]);
    network.member(1n).core.step({
      kind: "appendResponse",
      from: 3n,
      to: 1n,
      term: 1,
      reject: true,
      index: 1,
      hint: { term: 0, index: 0 },
    });
    assert.deepEqual(
      [progressOf(network, 3n).state, progressOf(network, 3n).pendingSnapshot],
      ["snapshot", 4],
    );
  });
});

suite("Raft: a snapshot at its receiver", () => {
  const newer: SnapshotMeta = { term: 4, index: 10, confState: { ...CONF, learners: [9n] } };

  test("handleSnapshot() takes log and configuration over; its answer waits until it is installed", () => {
    const network = receiver([1, 1], 1);
    const { core } = network.member(1n);
    core.step(message(newer));
    assert.deepEqual([core.status.commit, core.status.lastIndex, core.status.leader], [10, 10, 2n]);
    assert.deepEqual(core.confState.learners, [9n]);
    const ready = core.ready();
    assert.deepEqual(
      [ready?.write?.snapshot, ready?.write?.mustSync, ready?.messages, ready?.committed],
      [newer, true, [], []],
    );
    assert.deepEqual(ready?.write?.responses, [
      { kind: "appendResponse", from: 1n, to: 2n, term: 5, reject: false, index: 10 },
    ]);
  });

  test("handleSnapshot() of what is committed already changes nothing", () => {
    const network = receiver([1, 1, 1], 3);
    const { core } = network.member(1n);
    core.step(message({ term: 1, index: 2, confState: { ...CONF, learners: [9n] } }));
    network.settle();
    assert.deepEqual([core.status.lastIndex, core.confState.learners], [3, []]);
    assert.deepEqual(
      network.sentOf("appendResponse").map((answer) => [answer.reject, answer.index]),
      [[false, 3]],
    );
  });

  test("handleSnapshot() that is older than where the log begins changes nothing", () => {
    const network = receiver([1], 1);
    const { core } = network.member(1n);
    core.step(message(newer));
    core.step(message({ term: 3, index: 5, confState: CONF }));
    assert.deepEqual([core.status.commit, core.confState.learners], [10, [9n]]);
    const ready = core.ready();
    assert.deepEqual(ready?.write?.snapshot, newer);
    assert.deepEqual(
      ready?.write?.responses.map((answer) => answer.kind === "appendResponse" && answer.index),
      [10, 10],
    );
  });

  test("handleSnapshot() of entries that are here commits them, and installs nothing", () => {
    const network = receiver([1, 1, 4], 1);
    const { core } = network.member(1n);
    core.step(message({ term: 1, index: 2, confState: CONF }));
    const ready = core.ready();
    assert.equal(ready?.write?.snapshot, undefined);
    assert.deepEqual(
      ready?.committed.map(({ index }) => index),
      [2],
    );
    assert.deepEqual([core.status.commit, core.status.lastIndex], [2, 3]);
  });

  test("handleSnapshot() replaces a log that has the index with another term", () => {
    const network = receiver([1, 1, 3], 1);
    const { core } = network.member(1n);
    core.step(message({ term: 4, index: 3, confState: CONF }));
    assert.deepEqual(core.ready()?.write?.snapshot, { term: 4, index: 3, confState: CONF });
  });

  test("handleSnapshot() that does not name this member is not taken", () => {
    const network = receiver([1], 1);
    const { core } = network.member(1n);
    core.step(message({ term: 4, index: 10, confState: { ...CONF, voters: [2n, 3n] } }));
    assert.deepEqual([core.status.lastIndex, core.confState.voters], [1, THREE]);
    for (const part of [{ learners: [1n] }, { votersOutgoing: [1n, 2n] }]) {
      core.step(
        message({
          term: 4,
          index: core.status.lastIndex + 9,
          confState: { ...CONF, voters: [2n, 3n], ...part },
        }),
      );
    }
    assert.equal(core.status.lastIndex, 19, "a learner, and a voter of the outgoing half, take it");
  });

  test("handleSnapshot() of an old term is not taken", () => {
    const network = receiver([6], 1);
    network.member(1n).core.step(message(newer));
    assert.equal(network.member(1n).core.status.lastIndex, 1);
  });

  test("a member that installs a snapshot neither campaigns nor applies, but takes entries in", () => {
    const network = cutLog();
    const member = snapshotOnSlowDisk(network);
    network.member(1n).core.reportSnapshot(3n, "delivered");
    network.propose(1n, "d");
    network.tick(1, [1n]);
    assert.equal(member.core.status.lastIndex, 5);
    for (let i = 0; i < 100; i += 1) member.core.tick();
    member.core.campaign();
    network.settle();
    assert.deepEqual(
      [member.core.status.role, member.disk.state, member.core.status.applied],
      ["follower", [], 1],
    );
    member.isDiskSlow = false;
    member.flush();
    network.settle();
    assert.deepEqual([member.disk.state, member.core.status.applied], [["a", "b", "c", "d"], 5]);
    member.core.campaign();
    assert.equal(member.core.status.role, "candidate");
  });

  test("a crash before the snapshot is installed leaves the old log, and the snapshot comes again", () => {
    const network = cutLog();
    const member = snapshotOnSlowDisk(network);
    member.restart();
    member.isDiskSlow = false;
    assert.equal(member.core.status.lastIndex, 1);
    network.member(1n).core.reportSnapshot(3n, "failed");
    network.tick(2, [1n]);
    assert.deepEqual(member.disk.state, ["a", "b", "c"]);
  });

  test("a snapshot of a joint configuration brings both halves", () => {
    const network = receiver([1], 1);
    const { core } = network.member(1n);
    const joint: ConfState = {
      voters: [1n, 4n],
      votersOutgoing: [1n, 2n, 3n],
      learners: [5n],
      learnersNext: [3n],
      autoLeave: true,
    };
    core.step(message({ term: 4, index: 10, confState: joint }));
    assert.deepEqual(core.confState, joint);
  });
});
