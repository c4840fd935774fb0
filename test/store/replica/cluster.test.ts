import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ListState } from "../../support/list-state.ts";
import { ClusterBed, ELECTION_MS, type Member, TICK_MS } from "./cluster-bed.ts";
import { put, read } from "./replica-bed.ts";

suite("ReadyLoop, three of them", () => {
  test("a proposal anywhere is answered there and is applied everywhere", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    for (const member of bed.members) {
      assert.equal(await bed.result(put(member.replica, `at ${member.id}`)), `at ${member.id}`);
      assert.ok(member.state.values.includes(`at ${member.id}`), "who answers has applied it");
    }
    assert.deepEqual(await bed.settled(), ["at 1", "at 2", "at 3"]);
    assert.equal(bed.leader, leader);
  });

  test("proposals of followers reach the leader in the order they were made, many a turn", async () => {
    await using bed = await ClusterBed.open();
    await bed.elected();
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    const values = Array.from({ length: 200 }, (_, i) => `v${i}`);
    await bed.result(Promise.all(values.map((value) => put(follower.replica, value))));
    assert.deepEqual(await bed.settled(), values);
  });

  test("a proposal before there is a leader waits for one", async () => {
    await using bed = await ClusterBed.open();
    assert.equal(bed.leader, undefined);
    const answers = bed.members.map((member) => put(member.replica, `at ${member.id}`));
    await bed.result(Promise.all(answers));
    assert.deepEqual([...(await bed.settled())].sort(), ["at 1", "at 2", "at 3"]);
  });

  test("nobody leads alone while its first entries are applied one at a time", async () => {
    // Each names one voter: with the first of them alone, a member would be a cluster of its own.
    await using bed = await ClusterBed.open({
      limits: { applyMs: 1 },
      prepare: (member, { clock }) => {
        member.prepareState = (state) => {
          state.onApply = () => clock.advance(1);
        };
      },
    });
    for (const { replica } of bed.members) assert.equal(replica.status.term, 1);
    await bed.elected();
    assert.equal(bed.members.filter(({ replica }) => replica.status.role === "leader").length, 1);
  });

  test("a read on any member sees what was acknowledged before it, anywhere", async () => {
    await using bed = await ClusterBed.open({ seed: 5 });
    await bed.elected();
    for (let i = 0; i < 20; i += 1) {
      const writer = bed.members[i % 3];
      const reader = bed.members[(i * 7 + 1) % 3];
      assert.ok(writer !== undefined && reader !== undefined);
      await bed.result(put(writer.replica, `v${i}`));
      await bed.result(read(reader.replica));
      assert.equal(reader.state.values.at(-1), `v${i}`);
    }
  });

  test("a read whose question or answer got lost is asked again", async () => {
    await using bed = await ClusterBed.open();
    await bed.elected();
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    for (const lost of ["readIndex", "readIndexResponse"]) {
      let count = 0;
      bed.network.filter = ({ kind }) => {
        if (kind !== lost || count > 0) return true;
        count += 1;
        return false;
      };
      const sinceMs = bed.clock.monotonicMs();
      await bed.result(read(follower.replica));
      assert.equal(count, 1);
      const tookMs = bed.clock.monotonicMs() - sinceMs;
      assert.ok(tookMs >= 500 && tookMs < 800, `${lost}: ${tookMs} ms`);
    }
  });

  test("a leader that is cut off answers no read, and no proposal", async () => {
    await using bed = await ClusterBed.open({ limits: { requestTimeoutMs: 3000 } });
    const old = await bed.elected();
    bed.isolate(old);
    const reads = assert.rejects(read(old.replica), { code: "Timeout" });
    const late = assert.rejects(put(old.replica, "late"), { code: "Timeout" });
    await bed.until("another leader", () => bed.leader !== undefined && bed.leader !== old);
    const [member] = bed.running.filter((one) => one !== old);
    assert.ok(member !== undefined);
    await bed.result(put(member.replica, "new"));
    assert.deepEqual(old.state.values, []);
    await bed.result(Promise.all([reads, late]));
    bed.network.heal();
    await bed.elected();
    assert.deepEqual(await bed.settled(), ["new"], "what no quorum took is gone");
  });

  test("a read that the old leader was asked goes to the new one", async () => {
    await using bed = await ClusterBed.open();
    const old = await bed.elected();
    const [reader] = bed.followers;
    assert.ok(reader !== undefined);
    bed.isolate(old);
    const answer = read(reader.replica);
    await bed.result(answer, 5000);
    assert.notEqual(bed.leader, old);
  });
});

suite("ReadyLoop.propose() while leaders change", () => {
  test("what was sent to a leader that fails runs into its deadline, and is put down to that", async () => {
    await using bed = await ClusterBed.open({ limits: { requestTimeoutMs: 2500 } });
    const old = await bed.elected();
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    bed.isolate(old);
    const sinceMs = bed.clock.monotonicMs();
    const expected = {
      code: "TimeoutLeaderFail",
      message: "etcdserver: request timed out, possibly due to previous leader failure",
    };
    const rejected = assert.rejects(put(follower.replica, "sent"), expected);
    await bed.until("another leader", () => bed.leader !== undefined && bed.leader !== old);
    assert.equal(await bed.result(put(follower.replica, "to the new one")), "to the new one");
    await bed.result(rejected);
    const tookMs = bed.clock.monotonicMs() - sinceMs;
    assert.ok(tookMs >= 2500 && tookMs < 2500 + 2 * TICK_MS, `${tookMs} ms`);
    bed.network.heal();
    await bed.elected();
    assert.deepEqual(await bed.settled(), ["to the new one"], "it was never sent a second time");
  });

  test("what comes once the leader is known to be away waits, and goes to the next one, in order", async () => {
    await using bed = await ClusterBed.open();
    const old = await bed.elected();
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    bed.isolate(old);
    await bed.run(400);
    assert.equal(follower.replica.status.leader, old.id, "there is no election yet");
    const answers = ["a", "b", "c"].map((value) => put(follower.replica, value));
    assert.deepEqual(await bed.result(Promise.all(answers), 3 * ELECTION_MS), ["a", "b", "c"]);
    assert.notEqual(bed.leader, old);
    bed.network.heal();
    await bed.elected();
    assert.deepEqual(await bed.settled(), ["a", "b", "c"]);
  });

  test("what a leader has taken and not committed when it is deposed is put down to the failure", async () => {
    await using bed = await ClusterBed.open({ limits: { requestTimeoutMs: 2500 } });
    const old = await bed.elected();
    bed.isolate(old);
    const rejected = assert.rejects(put(old.replica, "taken"), { code: "TimeoutLeaderFail" });
    await bed.until("another leader", () => bed.leader !== undefined && bed.leader !== old);
    bed.network.heal();
    await bed.elected();
    await bed.result(rejected);
    assert.deepEqual(await bed.settled(), []);
  });

  test("what a member without a leader was asked goes to the leader that comes, also in another's reign", async () => {
    await using bed = await ClusterBed.open();
    const old = await bed.elected();
    bed.isolate(old);
    await bed.until("it steps down", () => old.replica.status.role !== "leader", 3 * ELECTION_MS);
    const waiting = [put(old.replica, "a"), put(old.replica, "b")];
    bed.network.heal();
    assert.deepEqual(await bed.result(Promise.all(waiting), 3 * ELECTION_MS), ["a", "b"]);
    assert.deepEqual(await bed.settled(), ["a", "b"]);
  });

  test("a leader that crashes loses nothing of what it acknowledged, and is no hindrance when it is back", async () => {
    await using bed = await ClusterBed.open();
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const leader = await bed.elected();
      for (let i = 0; i < 5; i += 1)
        acknowledged.push(await bed.result(put(leader.replica, `${round} ${i}`)));
      leader.crash();
      await bed.elected();
      const [member] = bed.running;
      assert.ok(member !== undefined);
      acknowledged.push(await bed.result(put(member.replica, `${round} without`)));
      await leader.start();
    }
    await bed.elected();
    assert.deepEqual(await bed.settled(), acknowledged);
  });
});

suite("ReadyLoop.propose() for a leader of a term", () => {
  test("is taken by that leader in that term, and by nobody else", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const { term: leaderTerm } = leader.replica.status;
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    assert.equal(await bed.result(put(leader.replica, "a", { leaderTerm })), "a");
    await assert.rejects(put(follower.replica, "b", { leaderTerm }), { code: "NotLeader" });
    await assert.rejects(put(leader.replica, "c", { leaderTerm: leaderTerm + 1 }), { code: "NotLeader" });
    const { signal } = new AbortController();
    for (const to of [follower, leader]) {
      await bed.result((bed.leader as Member).replica.transferLeader(to.id, { signal }));
    }
    await bed.elected();
    await assert.rejects(put(leader.replica, "d", { leaderTerm }), { code: "NotLeader" });
    assert.deepEqual(await bed.settled(), ["a"]);
  });

  test("does not wait while leadership is handed over to somebody else", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const { term: leaderTerm } = leader.replica.status;
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    const { signal } = new AbortController();
    const transfer = leader.replica.transferLeader(follower.id, { signal });
    const refused = assert.rejects(put(leader.replica, "a", { leaderTerm }), { code: "NotLeader" });
    await bed.result(Promise.all([transfer, refused]));
    assert.deepEqual(await bed.settled(), []);
  });
});

suite("ReadyLoop.onLeadership()", () => {
  test("tells of each leader after it has come about, and of none after its end", async () => {
    await using bed = await ClusterBed.open();
    const [member] = bed.members;
    assert.ok(member !== undefined);
    const told: bigint[] = [];
    const end = member.replica.onLeadership(({ leader, term, role }) => {
      const { status } = member.replica;
      assert.deepEqual([leader, term, role], [status.leader, status.term, status.role]);
      if (leader !== 0n) told.push(leader);
    });
    const { signal } = new AbortController();
    const first = await bed.elected();
    const [next] = bed.followers;
    assert.ok(next !== undefined);
    await bed.result(first.replica.transferLeader(next.id, { signal }));
    await bed.elected();
    assert.deepEqual(told, [first.id, next.id]);
    end();
    await bed.result(next.replica.transferLeader(first.id, { signal }));
    await bed.elected();
    assert.equal(told.length, 2);
  });
});

suite("ReadyLoop.transferLeader()", () => {
  test("lets another one lead at once, asked of anybody", async () => {
    await using bed = await ClusterBed.open();
    const { signal } = new AbortController();
    for (let i = 0; i < 6; i += 1) {
      const leader = await bed.elected();
      const to = bed.followers[i % 2];
      const at = [leader, ...bed.followers][i % 3];
      assert.ok(to !== undefined && at !== undefined);
      const sinceMs = bed.clock.monotonicMs();
      await bed.result(at.replica.transferLeader(to.id, { signal }));
      assert.ok(bed.clock.monotonicMs() - sinceMs <= 2 * TICK_MS);
      assert.equal(bed.leader, to);
    }
  });

  test("rejects with TimeoutLeaderTransfer when that one does not come, and proposals go on then", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const [to] = bed.followers;
    assert.ok(to !== undefined);
    bed.isolate(to);
    const { signal } = new AbortController();
    const refused = assert.rejects(leader.replica.transferLeader(to.id, { signal }), {
      code: "TimeoutLeaderTransfer",
    });
    await bed.run(TICK_MS);
    const waiting = put(leader.replica, "meanwhile");
    await bed.result(refused);
    assert.equal(await bed.result(waiting, 3 * TICK_MS), "meanwhile");
    assert.equal(bed.leader, leader);
  });
});

suite("ReadyLoop.close() among others", () => {
  test("a leader hands over, and nobody waits for an election", async () => {
    for (const seed of [1, 2, 3]) {
      await using bed = await ClusterBed.open({ seed });
      const leader = await bed.elected();
      const [follower] = bed.followers;
      assert.ok(follower !== undefined);
      const accepted = put(leader.replica, "accepted");
      const sinceMs = bed.clock.monotonicMs();
      const closing = leader.close();
      const elsewhere = put(follower.replica, "elsewhere");
      await bed.result(closing);
      assert.equal(await accepted, "accepted");
      const { leader: next } = bed;
      assert.ok(next !== undefined && next !== leader);
      await bed.result(put(next.replica, "next"));
      const tookMs = bed.clock.monotonicMs() - sinceMs;
      assert.ok(tookMs < ELECTION_MS / 2, `seed ${seed}: ${tookMs} ms`);
      assert.equal(await bed.result(elsewhere), "elsewhere");
      assert.deepEqual([...(await bed.settled())].sort(), ["accepted", "elsewhere", "next"]);
    }
  });

  test("a follower leaves without a word, and nobody notices", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const { term } = leader.replica.status;
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    await bed.result(follower.close());
    await bed.result(put(leader.replica, "a"));
    await bed.run(5 * ELECTION_MS);
    assert.deepEqual([bed.leader, leader.replica.status.term], [leader, term]);
    await follower.start();
    assert.deepEqual(await bed.settled(), ["a"]);
  });

  test("a leader whose quorum is gone closes without waiting for what it has sent", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    for (const follower of bed.followers) follower.crash();
    const sent = assert.rejects(put(leader.replica, "a"), { code: "Stopped" });
    await bed.run(TICK_MS);
    await bed.result(leader.close(), 2 * ELECTION_MS + TICK_MS);
    await sent;
    for (const member of bed.members) await member.start();
    await bed.elected();
  });

  test("one that waits for a leader in vain closes all the same, and says so to its callers", async () => {
    await using bed = await ClusterBed.open();
    await bed.elected();
    const [a, b, c] = bed.members;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    b.crash();
    c.crash();
    await bed.until("nobody leads", () => a.replica.status.leader === 0n, 5 * ELECTION_MS);
    const refused = [put(a.replica, "a"), read(a.replica)].map((call) =>
      assert.rejects(call, { code: "Stopped" }),
    );
    await bed.result(a.close(), TICK_MS);
    await Promise.all(refused);
    for (const member of bed.members) await member.start();
    await bed.elected();
  });
});

suite("ReadyLoop on a disk that hangs", () => {
  test("the quorum goes on, and the leader's own callers are answered when its disk is back", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    const { term } = leader.replica.status;
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    const gate = Promise.withResolvers<void>();
    const { turn } = leader.disk;
    leader.disk.turn = (operation) => gate.promise.then(() => turn(operation));
    let isAnswered = false;
    const own = put(leader.replica, "own").then(() => {
      isAnswered = true;
    });
    const answers = ["a", "b", "c"].map((value) => put(follower.replica, value));
    await bed.result(Promise.all(answers));
    await bed.run(2 * ELECTION_MS);
    assert.deepEqual(follower.state.values, ["own", "a", "b", "c"]);
    assert.deepEqual([isAnswered, leader.state.values], [false, []], "it applies only what it has itself");
    assert.deepEqual([bed.leader, leader.replica.status.term], [leader, term]);
    await bed.result(read(follower.replica));
    leader.disk.turn = turn;
    gate.resolve();
    await bed.result(own);
    assert.deepEqual(await bed.settled(), ["own", "a", "b", "c"]);
  });
});

suite("ReadyLoop on a disk that hangs, under load", () => {
  test("the leader takes no more from others than it may hold, though a quorum commits it", async () => {
    const uncommittedBytes = 2000;
    await using bed = await ClusterBed.open({ limits: { uncommittedBytes, requestTimeoutMs: 1000 } });
    const leader = await bed.elected();
    const [follower] = bed.followers;
    assert.ok(follower !== undefined);
    const gate = Promise.withResolvers<void>();
    const { turn } = leader.disk;
    leader.disk.turn = (operation) => gate.promise.then(() => turn(operation));
    const answers = Array.from({ length: 50 }, (_, i) => put(follower.replica, `${i}`.padEnd(492, ".")));
    const outcomes = await bed.result(Promise.allSettled(answers));
    const taken = outcomes.filter(({ status }) => status === "fulfilled").length;
    assert.equal(taken, uncommittedBytes / 500);
    leader.disk.turn = turn;
    gate.resolve();
    assert.equal((await bed.settled()).length, taken);
    await bed.result(put(follower.replica, "on"));
  });
});

suite("ReadyLoop whose disk fails", () => {
  test("a leader with an error is gone for the others, which elect another one", async () => {
    await using bed = await ClusterBed.open();
    const leader = await bed.elected();
    leader.disk.failNth("sync", 1, "EIO");
    await bed.result(assert.rejects(put(leader.replica, "a"), { code: "Stopped" }));
    assert.equal(leader.fatal.length, 1);
    leader.crash();
    await bed.elected();
    const [member] = bed.running;
    assert.ok(member !== undefined);
    await bed.result(put(member.replica, "b"));
    await leader.start();
    await bed.elected();
    assert.equal((await bed.settled()).at(-1), "b");
  });
});

test("ListState.install() takes over what another one has", () => {
  const state = new ListState();
  const image = { ...state.image, index: 7, term: 2, values: ["a"] };
  state.install(image);
  assert.deepEqual([state.appliedIndex, state.flushedIndex, state.values], [7, 7, ["a"]]);
  assert.throws(() => state.install(image), /installed 7 over 7/);
});
