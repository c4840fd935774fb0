import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type DiskStart, RaftNetwork, type RaftNetworkOptions } from "../../support/raft-network.ts";

const PLAIN = { preVote: false, checkQuorum: false };

/** Three members: 1 and 2 with these terms on disk, and 3, which is away. */
function pair(
  leader: readonly number[],
  follower: readonly number[],
  options: Partial<RaftNetworkOptions> = {},
) {
  const term = Math.max(leader.at(-1) ?? 0, follower.at(-1) ?? 0);
  const disks = new Map<bigint, DiskStart>([
    [1n, { terms: leader, term }],
    [2n, { terms: follower, term }],
    // Its vote brings a leader about that has the shorter log.
    [3n, { terms: [], term }],
  ]);
  const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN, disks, ...options });
  network.fateOf = ({ kind, to }) => (kind === "append" && to === 3n ? "drop" : "deliver");
  return network;
}

/** Runs of entries of one term, as Raft's figure 7 has them. */
function runs(...pairs: readonly (readonly [term: number, count: number])[]): number[] {
  return pairs.flatMap(([term, count]) => Array.from({ length: count }, () => term));
}

suite("Raft: logs become equal", () => {
  const leader = runs([1, 3], [4, 2], [5, 2], [6, 3]);
  const figure7: Readonly<Record<string, readonly number[]>> = {
    a: leader.slice(0, 9),
    b: leader.slice(0, 4),
    c: [...leader, 6],
    d: [...leader, 7, 7],
    e: runs([1, 3], [4, 4]),
    f: runs([1, 3], [2, 3], [3, 5]),
  };
  for (const [name, follower] of Object.entries(figure7)) {
    test(`a leader makes follower (${name}) of the paper's figure 7 equal to itself`, () => {
      const network = pair(leader, follower);
      network.elect(1n);
      assert.equal(network.member(1n).core.status.role, "leader");
      network.tick(2, [1n]);
      const { term } = network.member(1n).core.status;
      assert.deepEqual(network.member(2n).terms, [...leader, term]);
      assert.deepEqual(network.member(2n).disk.entries, network.member(1n).disk.entries);
      assert.equal(network.member(2n).core.status.commit, leader.length + 1);
    });
  }

  test("any two logs become equal, after as many refusals at most as either log has terms, and one", () => {
    const terms = fc
      .array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 6 })), { maxLength: 6 })
      .map((steps) => {
        let term = 1;
        return steps.flatMap(([rise, count]) => {
          term += rise;
          return runs([term, count]);
        });
      });
    fc.assert(
      fc.property(terms, terms, (mine, theirs) => {
        // Logs of one history: a term has one leader, whose log is the same wherever it is.
        const shared = mine.findIndex((term, i) => term !== theirs[i]);
        const fork = shared === -1 ? Math.min(mine.length, theirs.length) : shared;
        const follower = theirs
          .slice(0, fork)
          .concat(theirs.slice(fork).filter((term) => !mine.includes(term)));
        const network = pair(mine, follower);
        network.elect(1n);
        network.tick(2, [1n]);
        assert.deepEqual(network.member(2n).disk.entries, network.member(1n).disk.entries);
        const refusals = network.sentOf("appendResponse", { from: 2n }).filter(({ reject }) => reject);
        const bound = 1 + Math.min(new Set(mine).size, new Set(follower).size);
        assert.ok(refusals.length <= bound, `${refusals.length} refusals, at most ${bound}`);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test("a refusal passes over whole terms, on both sides", () => {
    const refusalsOf = (mine: readonly number[], theirs: readonly number[]) => {
      const network = pair(mine, theirs);
      network.elect(1n);
      network.tick(1, [1n]);
      assert.deepEqual(network.member(2n).disk.entries, network.member(1n).disk.entries);
      return network.sentOf("appendResponse", { from: 2n }).filter(({ reject }) => reject).length;
    };
    assert.equal(
      refusalsOf(runs([1, 3], [4, 50]), runs([1, 3], [2, 50])),
      1,
      "the follower's term is too low",
    );
    assert.equal(
      refusalsOf(runs([1, 3], [2, 50]), runs([1, 3], [4, 50])),
      1,
      "the follower's term is too high",
    );
    assert.equal(refusalsOf(runs([1, 100]), runs([1, 1])), 1, "the follower is short");
  });

  test("a late append without news does not shorten the log", () => {
    const network = new RaftNetwork({ voters: [1n, 2n], policy: PLAIN });
    network.elect(1n);
    for (const text of ["a", "b", "c"]) {
      network.propose(1n, text);
      network.settle();
    }
    const [oldest] = network.sentOf("append", { to: 2n }).filter(({ entries }) => entries.length > 0);
    assert.ok(oldest);
    network.member(2n).core.step(oldest);
    network.settle();
    assert.deepEqual(network.member(2n).terms, [1, 1, 1, 1]);
    assert.deepEqual(network.member(2n).disk.state, ["a", "b", "c"]);
  });

  test("messages in any order, some twice, lead to the same log", () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(99)), (chances) => {
        const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN });
        network.elect(1n);
        network.fateOf = () => "hold";
        const next = () => chances.next().value ?? 0;
        for (let i = 0; i < 12; i += 1) {
          network.propose(1n, `v${i}`);
          network.settle();
          // In an order of its own; what is left out comes later, or again.
          for (const message of [...network.held].sort(() => next() - 50)) {
            if (next() < 60) network.member(message.to).core.step(message);
          }
          network.settle();
        }
        network.heal();
        network.release();
        network.tick(3, [1n]);
        const all = Array.from({ length: 12 }, (_, i) => `v${i}`);
        for (const { disk } of network.members.values()) assert.deepEqual(disk.state, all);
      }),
      { seed: 3, numRuns: 50 },
    );
  });
});

suite("Raft: an append at its follower", () => {
  test("handleAppend() acknowledges up to the last entry of the message, not of its own log", () => {
    const network = pair([1, 1, 1], [1, 1, 1]);
    network.member(2n).core.step({
      kind: "append",
      from: 1n,
      to: 2n,
      term: 1,
      prev: { term: 1, index: 1 },
      entries: [],
      commit: 3,
    });
    network.settle();
    assert.deepEqual(
      network.sentOf("appendResponse").map((message) => [message.reject, message.index]),
      [[false, 1]],
    );
    assert.equal(network.member(2n).core.status.commit, 1, "what is behind it may differ from the leader's");
  });

  test("handleAppend() behind the commit answers with the commit", () => {
    const network = pair([1, 1, 1], [1, 1, 1], {
      disks: new Map([[2n, { terms: [1, 1, 1], commit: 2 }]]),
    });
    network.member(2n).core.step({
      kind: "append",
      from: 1n,
      to: 2n,
      term: 1,
      prev: { term: 1, index: 1 },
      entries: [],
      commit: 2,
    });
    network.settle();
    assert.deepEqual(
      network.sentOf("appendResponse").map((message) => [message.reject, message.index]),
      [[false, 2]],
    );
  });

  test("handleHeartbeat() takes the commit, and never takes one back", () => {
    const network = pair([1, 1, 1], [1, 1, 1]);
    const { core } = network.member(2n);
    for (const commit of [2, 1])
      core.step({ kind: "heartbeat", from: 1n, to: 2n, term: 1, commit, readPosition: 0 });
    assert.equal(core.status.commit, 2);
  });

  test("a heartbeat tells a follower that lags no more than it is known to hold", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: PLAIN });
    network.elect(1n);
    network.isolate(3n);
    for (const text of ["a", "b"]) network.propose(1n, text);
    network.settle();
    network.forgetSent();
    network.tick(1, [1n]);
    const commits = network.sentOf("heartbeat").map(({ to, commit }) => [to, commit]);
    assert.deepEqual(commits, [
      [2n, 3],
      [3n, 1],
    ]);
  });
});
