import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ConfChange } from "../../../store/raft/conf-change.ts";
import { ClusterBed, ELECTION_MS, type Member, TICK_MS } from "./cluster-bed.ts";
import { put, read } from "./replica-bed.ts";

function votersOf({ state }: Member): readonly bigint[] {
  return state.confState.voters;
}

suite("ReadyLoop.proposeConfChange()", () => {
  test("a follower is removed: the others go on, and it disturbs nobody", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const [removed, other] = bed.followers;
    assert.ok(removed !== undefined && other !== undefined);
    await bed.result(leader.change({ kind: "remove", id: removed.id }));
    assert.deepEqual(votersOf(leader), [leader.id, other.id].sort());
    const { term } = leader.replica.status;
    assert.deepEqual([...leader.replica.progress().keys()], votersOf(leader));
    await bed.run(5 * ELECTION_MS);
    assert.deepEqual([bed.leader, leader.replica.status.term], [leader, term]);
    await bed.result(put(other.replica, "a"));
    assert.deepEqual(leader.state.values, ["a"]);
    await bed.result(removed.close());
  });

  test("asked of a follower, it takes effect there and everywhere", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const [asked, removed] = bed.followers;
    assert.ok(asked !== undefined && removed !== undefined);
    await bed.result(asked.change({ kind: "remove", id: removed.id }));
    assert.deepEqual(votersOf(asked), [asked.id, leader.id].sort());
    removed.crash();
    await bed.result(put(asked.replica, "a"));
  });

  test("a leader that removes itself answers, and another one leads before an election would be due", async () => {
    for (const seed of [1, 2, 3]) {
      await using bed = await ClusterBed.open({ seed });
      const leader = await bed.elected();
      const others = bed.followers;
      const sinceMs = bed.clock.monotonicMs();
      await bed.result(leader.change({ kind: "remove", id: leader.id }));
      await assert.rejects(put(leader.replica, "too late"), { code: "Stopped" });
      await bed.until("another leads", () => others.includes(bed.leader as Member));
      const tookMs = bed.clock.monotonicMs() - sinceMs;
      assert.ok(tookMs <= 3 * TICK_MS, `seed ${seed}: ${tookMs} ms`);
      for (const member of others) await bed.result(put(member.replica, `at ${member.id}`));
      const { term } = (bed.leader as Member).replica.status;
      await bed.run(3 * ELECTION_MS);
      assert.equal((bed.leader as Member).replica.status.term, term);
      assert.deepEqual(votersOf(others[0] as Member), others.map(({ id }) => id).sort());
      await bed.result(leader.close(), 3 * ELECTION_MS);
    }
  });

  test("down to one: who is left leads at once", async () => {
    await using bed = await ClusterBed.open();
    const first = await bed.elected();
    const [second, third] = bed.followers;
    assert.ok(second !== undefined && third !== undefined);
    await bed.result(first.change({ kind: "remove", id: third.id }));
    await bed.result(first.change({ kind: "remove", id: first.id }));
    await bed.until("the last one leads", () => second.replica.status.role === "leader", 3 * TICK_MS);
    first.crash();
    third.crash();
    await bed.result(put(second.replica, "alone"));
    await bed.result(read(second.replica));
    await bed.until("it is flushed", () => second.state.flushedIndex === second.replica.status.applied);
    second.crash();
    await second.start();
    assert.deepEqual(
      [second.replica.status.role, second.state.values],
      ["leader", ["alone"]],
      "it is awaited",
    );
  });

  for (const isSnapshot of [false, true]) {
    test(`a learner joins by ${isSnapshot ? "a snapshot" : "the log"}, does not vote, and is promoted`, async () => {
      const kept = isSnapshot ? { keptEntries: 2, flushBytes: 1 } : {};
      await using bed = await ClusterBed.open({ limits: kept });
      const leader = await bed.elected();
      for (let i = 0; i < 20; i += 1) await bed.result(put(leader.replica, `v${i}`));
      await bed.until("it is flushed", () => leader.state.flushedIndex === leader.replica.status.applied);
      await bed.result(leader.change({ kind: "addLearner", id: 4n }));
      const joined = await bed.join(4n);
      await bed.settled();
      assert.equal(bed.network.snapshots, isSnapshot ? 1 : 0);
      assert.deepEqual(joined.state.confState.learners, [4n]);
      assert.equal(joined.replica.status.isLearner, true);
      await bed.result(put(joined.replica, "by the learner"));
      await bed.result(read(joined.replica));

      // It does not count: with one voter of three nothing is committed, and it does not lead.
      const [a, b] = bed.followers.filter((member) => member !== joined);
      assert.ok(a !== undefined && b !== undefined);
      bed.isolate(a);
      bed.isolate(b);
      const waiting = put(joined.replica, "later");
      let isAnswered = false;
      waiting.then(
        () => {
          isAnswered = true;
        },
        () => undefined,
      );
      await bed.run(ELECTION_MS / 2);
      assert.equal(isAnswered, false);
      bed.network.heal();
      await bed.result(waiting);

      const now = await bed.elected();
      await bed.result(now.change({ kind: "addVoter", id: 4n }));
      assert.deepEqual([...votersOf(now)].sort(), [1n, 2n, 3n, 4n]);
      await bed.settled();
      assert.equal(joined.replica.status.isLearner, false);
      // Three of four are a majority only with the new one.
      a.crash();
      await bed.elected();
      await bed.result(put(joined.replica, "of three"));
      const { signal } = new AbortController();
      await bed.result((bed.leader as Member).replica.transferLeader(4n, { signal }));
      assert.equal(bed.leader, joined);
    });
  }

  test("several at once go through a joint configuration, which is left by itself", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const [removed] = bed.followers;
    assert.ok(removed !== undefined);
    const change: ConfChange["changes"] = [
      { kind: "remove", id: removed.id },
      { kind: "addVoter", id: 4n },
    ];
    const joined = await bed.join(4n);
    await bed.result(leader.change(...change));
    await bed.until("it is left", () => leader.state.confState.votersOutgoing.length === 0);
    await bed.result(put(joined.replica, "by the new one"));
    assert.deepEqual(
      [...votersOf(joined)].sort(),
      [1n, 2n, 3n, 4n].filter((id) => id !== removed.id),
    );
    await bed.result(removed.close());
  });

  test("a member that was away over the changes, and over its log, comes to know of them", async () => {
    await using bed = await ClusterBed.open({ limits: { keptEntries: 2, flushBytes: 1 } });
    const leader = await bed.elected();
    const [away, other] = bed.followers;
    assert.ok(away !== undefined && other !== undefined);
    away.crash();
    const joined = await bed.join(4n);
    await bed.result(leader.change({ kind: "addVoter", id: 4n }));
    await bed.result(leader.change({ kind: "remove", id: other.id }));
    await bed.result(other.close());
    for (let i = 0; i < 20; i += 1) await bed.result(put(joined.replica, `v${i}`));
    await bed.until("it is flushed", () => leader.state.flushedIndex === leader.replica.status.applied);
    await away.start();
    await bed.settled();
    assert.deepEqual([...votersOf(away)].sort(), [leader.id, away.id, 4n].sort());
    leader.crash();
    await bed.elected();
    await bed.result(put(away.replica, "on"));
  });
});
