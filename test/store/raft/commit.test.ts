import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type DiskStart, RaftNetwork } from "../../support/raft-network.ts";

const PLAIN = { preVote: false, checkQuorum: false };
const FIVE = [1n, 2n, 3n, 4n, 5n];

suite("Raft: what is committed", () => {
  test("propose() commits when a majority has the entry on disk, the leader's own among the counted", () => {
    for (const { voters, alive, isCommitted } of [
      { voters: [1n], alive: [1n], isCommitted: true },
      { voters: [1n, 2n], alive: [1n], isCommitted: false },
      { voters: [1n, 2n, 3n], alive: [1n, 2n], isCommitted: true },
      { voters: [1n, 2n, 3n], alive: [1n], isCommitted: false },
      { voters: [1n, 2n, 3n, 4n], alive: [1n, 2n], isCommitted: false },
      { voters: FIVE, alive: [1n, 2n], isCommitted: false },
      { voters: FIVE, alive: [1n, 2n, 3n], isCommitted: true },
    ]) {
      const network = new RaftNetwork({ voters, policy: PLAIN });
      network.elect(1n);
      for (const id of voters) if (!alive.includes(id)) network.isolate(id);
      network.propose(1n, "x");
      network.settle();
      const { commit } = network.member(1n).core.status;
      assert.equal(commit, isCommitted ? 2 : 1, `${alive.length} of ${voters.length}`);
      for (const id of alive) assert.deepEqual(network.member(id).disk.state, isCommitted ? ["x"] : []);
    }
  });

  test("a leader with a slow disk commits by the others' disks, and applies when its own has it", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN });
    const leader = network.elect(1n);
    leader.isDiskSlow = true;
    network.propose(1n, "x");
    network.settle();
    assert.equal(leader.core.status.commit, 2);
    assert.deepEqual([leader.disk.state, network.member(2n).disk.state], [[], ["x"]]);
    leader.flush();
    network.settle();
    assert.deepEqual(leader.disk.state, ["x"]);
  });

  test("entries on a slow disk are not acknowledged", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN });
    const leader = network.elect(1n);
    for (const id of [2n, 3n]) network.member(id).isDiskSlow = true;
    network.propose(1n, "x");
    network.settle();
    assert.equal(leader.core.status.commit, 1);
    network.member(3n).flush();
    network.settle();
    assert.equal(leader.core.status.commit, 2);
  });

  test("a follower's crash before its write takes nothing that was counted", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN });
    network.elect(1n);
    network.isolate(3n);
    const follower = network.member(2n);
    follower.isDiskSlow = true;
    network.propose(1n, "x");
    network.settle();
    follower.restart();
    assert.equal(network.member(1n).core.status.commit, 1);
    follower.isDiskSlow = false;
    network.tick(2, [1n]);
    assert.equal(network.member(1n).core.status.commit, 2);
    assert.deepEqual(follower.disk.state, ["x"]);
  });

  test("an entry of an earlier term is not committed by counting its replicas (Raft figure 8)", () => {
    // (c) of the figure: 1 leads again, and entry 2 of term 2 is on three of five members.
    const disks = new Map<bigint, DiskStart>([
      [1n, { terms: [1, 2], term: 3 }],
      [2n, { terms: [1, 2], term: 3 }],
      [3n, { terms: [1], term: 3 }],
      [4n, { terms: [1], term: 3 }],
      [5n, { terms: [1, 3], term: 3 }],
    ]);
    const network = new RaftNetwork({ voters: FIVE, policy: PLAIN, disks });
    network.cut(1n, 5n);
    // The entry with which 1 opens term 4 reaches nobody: only those before it do.
    network.fateOf = (message) => {
      if (message.kind === "append" && message.entries.some(({ term }) => term === 4)) return "drop";
      return "deliver";
    };
    network.elect(1n);
    for (const id of [2n, 3n, 4n]) {
      network.member(1n).core.step({
        kind: "appendResponse",
        from: id,
        to: 1n,
        term: 4,
        reject: false,
        index: 2,
      });
    }
    network.settle();
    const { role, term, commit } = network.member(1n).core.status;
    assert.deepEqual({ role, term, commit }, { role: "leader", term: 4, commit: 0 });

    // (d): so another leader may still replace it.
    network.heal();
    network.isolate(1n);
    network.elect(5n);
    assert.equal(network.member(5n).core.status.role, "leader");
    network.tick(2, [5n]);
    network.heal();
    network.tick(2, [5n]);
    for (const member of network.members.values()) assert.deepEqual(member.terms.slice(0, 2), [1, 3]);
  });

  test("an entry of the own term commits those before it along with itself (Raft figure 8 e)", () => {
    const disks = new Map<bigint, DiskStart>([
      [1n, { terms: [1, 2], term: 3 }],
      [2n, { terms: [1, 2], term: 3 }],
      [3n, { terms: [1], term: 3 }],
    ]);
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN, disks });
    network.elect(1n);
    assert.equal(network.member(1n).core.status.commit, 3);
    assert.deepEqual(network.member(3n).terms, [1, 2, 4]);
    assert.deepEqual(network.member(3n).disk.state, ["1:1", "2:2"]);
  });

  test("a new leader commits nothing of its predecessors before its first entry is replicated", () => {
    const network = new RaftNetwork({ voters: FIVE, policy: PLAIN });
    network.elect(1n);
    for (const id of [3n, 4n, 5n]) network.cut(1n, id);
    for (const text of ["a", "b"]) network.propose(1n, text);
    network.settle();
    assert.equal(network.member(1n).core.status.commit, 1);
    network.heal();
    network.fateOf = ({ kind }) => (kind === "append" ? "hold" : "deliver");
    network.elect(2n);
    assert.equal(network.member(2n).core.status.commit, 1);
    network.heal();
    network.release();
    network.settle();
    assert.equal(network.member(2n).core.status.commit, 4);
    for (const { disk } of network.members.values()) assert.deepEqual(disk.state, ["a", "b"]);
  });

  test("an old leader's entries that nobody has are replaced when it comes back", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n] });
    network.elect(1n);
    network.isolate(1n);
    for (const text of ["lost", "lost too"]) network.propose(1n, text);
    network.settle();
    network.elect(2n);
    network.propose(2n, "kept");
    network.settle();
    network.heal();
    network.tick(2, [2n]);
    for (const { disk } of network.members.values()) assert.deepEqual(disk.state, ["kept"]);
  });

  test("restart() of every member keeps what was committed", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n] });
    network.elect(1n);
    network.propose(1n, "x");
    network.settle();
    for (const member of network.members.values()) member.restart();
    network.elect(3n);
    network.propose(3n, "y");
    network.settle();
    for (const { disk } of network.members.values()) assert.deepEqual(disk.state, ["x", "y"]);
  });

  test("a learner gets everything and counts for nothing", () => {
    const network = new RaftNetwork({ voters: [1n, 2n], learners: [9n], policy: PLAIN });
    network.elect(1n);
    network.cut(1n, 2n);
    network.propose(1n, "x");
    network.settle();
    assert.deepEqual([network.member(9n).terms.length, network.member(1n).core.status.commit], [2, 1]);
    network.heal();
    network.tick(2, [1n]);
    assert.deepEqual(network.member(9n).disk.state, ["x"]);
  });
});
