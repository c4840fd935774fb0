import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import type { CallHandler } from "../../../store/peer/call-server.ts";
import { StoreError, type StoreErrorCode } from "../../../store/proto/errors.ts";
import type { SoftState } from "../../../store/raft/types.ts";
import { leaderAsker } from "../../../store/server/ask-leader.ts";
import { callMember } from "../../../store/server/call-member.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { TestMember } from "../peer/peer-bed.ts";
import { ClusterBed, started } from "./cluster-bed.ts";

const { signal } = new AbortController();
const CALL = { method: "what", body: Buffer.from("ever") };
const nobody = () => assert.fail("nobody else is asked");

/** A member, 1n, whose leader the test names. */
function memberAmong(members = [started(1n), started(2n), started(3n)]) {
  const bed = new ClusterBed([started(1n)]);
  const listeners = new Set<(state: SoftState) => void>();
  return {
    memberId: 1n,
    state: { members },
    get status() {
      return bed.replica.status;
    },
    onLeadership: (listener: (state: SoftState) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    listeners,
    follow(leader: bigint) {
      bed.leader = leader;
      for (const listener of listeners) listener(bed.replica.status);
    },
  };
}

test("leaderAsker() asks the leader at its peer URLs, and gives what it says", async () => {
  const answer: CallHandler = async ({ method, body }) => {
    if (method === "refused") throw new StoreError("MemberNotFound");
    return Buffer.concat([body, Buffer.from(" and more")]);
  };
  await using leader = await TestMember.start(2n, { onCall: answer });
  const replica = memberAmong([{ ...started(2n), peerUrls: ["http://127.0.0.1:1", leader.url] }]);
  replica.follow(2n);
  const ask = leaderAsker({ replica, answer: nobody, callMember, timeoutMs: 5_000, clock: systemClock });
  assert.equal((await ask(CALL, { signal })).toString(), "ever and more");
  await assert.rejects(ask({ ...CALL, method: "refused" }, { signal }), {
    message: "etcdserver: member not found",
  });
  assert.equal(replica.listeners.size, 0);
});

test("leaderAsker() answers itself where this member leads", async () => {
  const replica = memberAmong();
  const answer: CallHandler = async () => Buffer.from("mine");
  const ask = leaderAsker({
    replica,
    answer,
    callMember: nobody,
    timeoutMs: 5_000,
    clock: new SettlingClock(),
  });
  assert.equal((await ask(CALL, { signal })).toString(), "mine");
});

test("leaderAsker() asks again what a leader no longer, or not yet, answers", async () => {
  for (const code of ["NotLeader", "NoLeader", "LeaderChanged", "Timeout", "Stopped"] as StoreErrorCode[]) {
    const replica = memberAmong();
    replica.follow(2n);
    const clock = new SettlingClock();
    let tries = 0;
    const ask = leaderAsker({
      replica,
      answer: nobody,
      callMember: async () => {
        tries += 1;
        if (tries < 3) throw new StoreError(code);
        return Buffer.alloc(0);
      },
      timeoutMs: 5_000,
      clock,
    });
    const asked = ask(CALL, { signal });
    await clock.advance(1_000);
    await asked;
    assert.equal(tries, 3, code);
  }
});

test("leaderAsker() turns to the new leader at once, from one that does not answer and from none", async () => {
  const replica = memberAmong();
  const clock = new SettlingClock();
  const asked: bigint[] = [];
  const ask = leaderAsker({
    replica,
    answer: nobody,
    callMember: ({ peerUrls }, _, options) => {
      const id = replica.state.members.find((member) => member.peerUrls === peerUrls)?.id ?? 0n;
      asked.push(id);
      if (id === 3n) return Promise.resolve(Buffer.from("three"));
      return new Promise((_resolve, reject) =>
        options.signal.addEventListener("abort", () => reject(options.signal.reason), { once: true }),
      );
    },
    timeoutMs: 5_000,
    clock,
  });
  replica.follow(2n);
  const answer = ask(CALL, { signal });
  await clock.advance(0);
  replica.follow(0n);
  await clock.advance(0);
  replica.follow(3n);
  await clock.advance(0);
  assert.equal((await answer).toString(), "three");
  assert.deepEqual(asked, [2n, 3n]);
  assert.equal(replica.listeners.size, 0);
});

test("leaderAsker() gives up in etcd's words: no leader, or a leader that did not answer", async () => {
  const replica = memberAmong();
  const clock = new SettlingClock();
  const ask = leaderAsker({
    replica,
    answer: nobody,
    callMember: async () => {
      throw new StoreError("NotLeader");
    },
    timeoutMs: 1_000,
    clock,
  });
  for (const [leader, message] of [
    [0n, "etcdserver: no leader"],
    [2n, "etcdserver: request timed out"],
  ] as const) {
    replica.follow(leader);
    const asked = assert.rejects(ask(CALL, { signal }), { message });
    await clock.advance(2_000);
    await asked;
  }
});

test("leaderAsker() ends with its signal", async () => {
  const replica = memberAmong();
  replica.follow(0n);
  const call = new AbortController();
  const clock = new SettlingClock();
  const ask = leaderAsker({ replica, answer: nobody, callMember: nobody, timeoutMs: 1_000, clock });
  const gone = new Error("the client is gone");
  const asked = assert.rejects(ask(CALL, call), gone);
  await clock.advance(10);
  call.abort(gone);
  await asked;
  assert.equal(replica.listeners.size, 0);
});
