import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { RaftLimits } from "../../../store/raft/types.ts";
import { RaftNetwork } from "../../support/raft-network.ts";

/** Two members, 1 leads; from now on member 2 is told nothing, or hears all and says nothing. */
function leaderOf({ limits = {}, lost }: { limits?: Partial<RaftLimits>; lost?: "appends" | "answers" }) {
  const network = new RaftNetwork({
    voters: [1n, 2n],
    policy: { preVote: false, checkQuorum: false },
    limits,
  });
  network.elect(1n);
  network.settle();
  network.forgetSent();
  const kind = lost === "appends" ? "append" : "appendResponse";
  if (lost !== undefined) network.fateOf = (message) => (message.kind === kind ? "drop" : "deliver");
  return network;
}

const progressOf = (network: RaftNetwork) => {
  const progress = network.member(1n).core.progress().get(2n);
  assert.ok(progress);
  return progress;
};
const sizesOf = (network: RaftNetwork) =>
  network.sentOf("append", { to: 2n }).map(({ entries }) => entries.length);

function proposeAll(network: RaftNetwork, texts: readonly string[]): void {
  for (const text of texts) {
    assert.equal(network.propose(1n, text), "accepted");
    network.settle();
  }
}

const ABC = ["a", "b", "c"];

suite("Raft: flow control", () => {
  test("a new leader probes with one append, and sends more after the first answer", () => {
    const network = new RaftNetwork({ voters: [1n, 2n, 3n], policy: { preVote: false } });
    network.fateOf = ({ kind, from }) => (kind === "appendResponse" && from === 2n ? "hold" : "deliver");
    network.elect(1n);
    proposeAll(network, ABC);
    assert.deepEqual([progressOf(network).state, progressOf(network).isPaused], ["probe", true]);
    assert.deepEqual(sizesOf(network), [1]);
    network.release();
    network.settle();
    assert.deepEqual([progressOf(network).state, progressOf(network).next], ["replicate", 5]);
    assert.deepEqual(sizesOf(network), [1, 3]);
  });

  test("appends are sent one after the other, without waiting for answers", () => {
    const network = leaderOf({ lost: "answers" });
    proposeAll(network, ABC);
    assert.deepEqual(sizesOf(network), [1, 1, 1]);
    const { match, next, inflights } = progressOf(network);
    assert.deepEqual([match, next, inflights.count], [1, 5, 3]);
  });

  test("an append holds as many bytes as allowed, and one entry at least", () => {
    const network = leaderOf({ limits: { appendBytes: 5 }, lost: "answers" });
    network.isolate(2n);
    network.tick(1, [1n]);
    network.member(1n).core.reportUnreachable(2n);
    proposeAll(network, ["aa", "bb", "cc", "d".repeat(50), "ee"]);
    network.forgetSent();
    network.heal();
    network.tick(3, [1n]);
    assert.deepEqual(
      sizesOf(network).filter((size) => size > 0),
      [2, 1, 1, 1],
    );
    assert.equal(network.member(2n).disk.state.length, 5);
  });

  test("inflightMessages bounds the messages on their way; an answer makes room for the next", () => {
    const network = leaderOf({ limits: { inflightMessages: 3 }, lost: "answers" });
    proposeAll(network, ["a", "b", "c", "d", "e"]);
    assert.deepEqual([sizesOf(network), progressOf(network).isPaused], [[1, 1, 1], true]);
    // The answer to the first of them alone, and what was not sent goes together.
    network.forgetSent();
    network.member(1n).core.step({
      kind: "appendResponse",
      from: 2n,
      to: 1n,
      term: 1,
      reject: false,
      index: 2,
    });
    network.settle();
    assert.deepEqual(sizesOf(network), [2]);
    assert.deepEqual([progressOf(network).inflights.count, progressOf(network).next], [3, 7]);
  });

  test("an answer to what was answered already makes no room", () => {
    const network = leaderOf({ limits: { inflightMessages: 2 }, lost: "answers" });
    proposeAll(network, ABC);
    network.forgetSent();
    const { core } = network.member(1n);
    core.step({ kind: "appendResponse", from: 2n, to: 1n, term: 1, reject: false, index: 1 });
    network.settle();
    assert.deepEqual([sizesOf(network), progressOf(network).inflights.count], [[], 2]);
  });

  test("inflightBytes bounds what is on its way in bytes", () => {
    const network = leaderOf({ limits: { inflightBytes: 10, appendBytes: 8 }, lost: "answers" });
    proposeAll(network, ["aaaa", "bbbb", "cccc", "dddd"]);
    assert.deepEqual([sizesOf(network), progressOf(network).inflights.isFull], [[1, 1, 1], true]);
    network.heal();
    network.tick(2, [1n]);
    assert.deepEqual(network.member(2n).disk.state, ["aaaa", "bbbb", "cccc", "dddd"]);
  });

  test("a full window lets one append without entries through for each heartbeat's answer", () => {
    const network = leaderOf({ limits: { inflightMessages: 2 }, lost: "appends" });
    proposeAll(network, ABC);
    for (let i = 0; i < 3; i += 1) {
      network.forgetSent();
      network.tick(1, [1n]);
      assert.deepEqual([sizesOf(network), progressOf(network).isPaused], [[0], true]);
    }
  });

  test("lost appends are found out by the answer to a heartbeat, and sent again", () => {
    for (const limits of [{}, { inflightMessages: 2 }]) {
      const network = leaderOf({ limits, lost: "appends" });
      proposeAll(network, ABC);
      network.heal();
      assert.deepEqual(network.member(2n).disk.state, []);
      network.tick(2, [1n]);
      assert.deepEqual(network.member(2n).disk.state, ABC);
      assert.equal(network.member(1n).core.status.commit, 4);
      assert.equal(progressOf(network).state, "replicate");
    }
  });

  test("lost answers are found out by the answer to a heartbeat too", () => {
    const network = leaderOf({ lost: "answers" });
    proposeAll(network, ABC);
    network.heal();
    network.tick(1, [1n]);
    const { match, inflights } = progressOf(network);
    assert.deepEqual([match, inflights.count, network.member(1n).core.status.commit], [4, 0, 4]);
  });

  test("reportUnreachable() goes back to probing, from what is known to have arrived", () => {
    const network = leaderOf({ lost: "appends" });
    proposeAll(network, ABC);
    assert.equal(progressOf(network).next, 5);
    network.member(1n).core.reportUnreachable(2n);
    assert.deepEqual([progressOf(network).state, progressOf(network).next], ["probe", 2]);
    network.forgetSent();
    proposeAll(network, ["d", "e"]);
    assert.deepEqual(sizesOf(network), [4], "one append until it is answered");
    network.heal();
    network.tick(2, [1n]);
    assert.deepEqual(network.member(2n).disk.state, [...ABC, "d", "e"]);
  });

  test("reportUnreachable() of a stranger, or at a follower, changes nothing", () => {
    const network = leaderOf({});
    network.member(1n).core.reportUnreachable(9n);
    network.member(2n).core.reportUnreachable(1n);
    assert.equal(progressOf(network).state, "replicate");
  });

  test("a probe that was refused does not stop later ones: an old refusal is ignored", () => {
    const network = leaderOf({ lost: "appends" });
    proposeAll(network, ABC);
    const { core } = network.member(1n);
    const old = { kind: "appendResponse", from: 2n, to: 1n, term: 1, reject: true } as const;
    core.step({ ...old, index: 1, hint: { term: 0, index: 0 } });
    assert.deepEqual([progressOf(network).state, progressOf(network).next], ["replicate", 5]);
    core.step({ ...old, index: 3, hint: { term: 1, index: 1 } });
    assert.deepEqual([progressOf(network).state, progressOf(network).next], ["probe", 2]);
  });

  test("a follower hears of the commit with the next append, or at once when nothing follows", () => {
    const network = leaderOf({});
    network.propose(1n, "a");
    network.settle();
    const told = network.sentOf("append", { to: 2n }).map(({ entries, commit }) => [entries.length, commit]);
    assert.deepEqual(told, [
      [1, 1],
      [0, 2],
    ]);
    assert.deepEqual(network.member(2n).disk.state, ["a"]);
  });
});
