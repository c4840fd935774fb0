import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StoreError } from "../../../store/proto/errors.ts";
import type { ProposeOutcome } from "../../../store/raft/types.ts";
import { WaitingProposals } from "../../../store/replica/waiting-proposals.ts";

const forever = new AbortController().signal;
const DONE = { kind: "done", revision: 1, response: new Uint8Array(0) } as const;

/** Proposals, and a core that answers as the test says. */
class Bed {
  readonly proposals = new WaitingProposals();
  readonly sent: bigint[] = [];
  outcome: ProposeOutcome | "notLeader" = "accepted";

  add(requestId: bigint, { nowMs = 0, signal = forever }: { nowMs?: number; signal?: AbortSignal } = {}) {
    return this.proposals.add(requestId, {
      send: () => {
        this.sent.push(requestId);
        return this.outcome;
      },
      nowMs,
      deadlineMs: nowMs + 100,
      signal,
    });
  }

  /** Whom the core was given since the last call. */
  takeSent(): readonly bigint[] {
    return this.sent.splice(0);
  }
}

suite("WaitingProposals", () => {
  test("add() gives a proposal to the core at once, settle() its outcome to the caller", async () => {
    const bed = new Bed();
    const [first, second] = [bed.add(1n), bed.add(2n)];
    assert.deepEqual(bed.takeSent(), [1n, 2n]);
    bed.proposals.settle(2n, { ...DONE, revision: 7 });
    bed.proposals.settle(9n, DONE);
    assert.deepEqual(await second, { ...DONE, revision: 7 });
    assert.equal(bed.proposals.size, 1);
    bed.proposals.settle(1n, DONE);
    assert.deepEqual(await first, DONE);
  });

  for (const outcome of ["noLeader", "transferring"] as const) {
    test(`keeps what the core does not take, "${outcome}", and sends it later, in order, once`, () => {
      const bed = new Bed();
      bed.outcome = outcome;
      for (const id of [3n, 1n, 2n]) void bed.add(id);
      assert.deepEqual(bed.takeSent(), [3n], "the others would overtake it");
      bed.proposals.sendAgain();
      assert.deepEqual(bed.takeSent(), [3n]);
      bed.outcome = "accepted";
      void bed.add(4n);
      assert.deepEqual(bed.takeSent(), [], "the first of them is still to be sent");
      bed.proposals.sendAgain();
      assert.deepEqual(bed.takeSent(), [3n, 1n, 2n, 4n]);
      bed.outcome = outcome;
      bed.proposals.sendAgain();
      assert.deepEqual(bed.takeSent(), [], "what the core has taken is never given again");
      assert.equal(bed.proposals.size, 4);
      bed.outcome = "accepted";
      void bed.add(5n);
      assert.deepEqual(bed.takeSent(), [5n]);
    });
  }

  test("sendAgain() stops at the first that is not taken, and goes on from there", () => {
    const bed = new Bed();
    bed.outcome = "noLeader";
    for (const id of [1n, 2n, 3n]) void bed.add(id);
    bed.takeSent();
    const outcomes: ProposeOutcome[] = ["accepted", "noLeader"];
    Object.defineProperty(bed, "outcome", { get: () => outcomes.shift() ?? "accepted" });
    bed.proposals.sendAgain();
    assert.deepEqual(bed.takeSent(), [1n, 2n]);
    bed.proposals.sendAgain();
    assert.deepEqual(bed.takeSent(), [2n, 3n]);
  });

  for (const [outcome, code] of [
    ["tooManyUncommitted", "TooManyRequests"],
    ["removed", "Stopped"],
    ["notLeader", "NotLeader"],
  ] as const) {
    test(`rejects with ${code} what the core refuses, "${outcome}", at once and later`, async () => {
      const bed = new Bed();
      bed.outcome = outcome;
      await assert.rejects(bed.add(1n), { code });
      bed.outcome = "noLeader";
      const waiting = bed.add(2n);
      bed.outcome = outcome;
      bed.proposals.sendAgain();
      await assert.rejects(waiting, { code });
      assert.equal(bed.proposals.size, 0);
      bed.outcome = "accepted";
      void bed.add(3n);
      assert.equal(bed.takeSent().at(-1), 3n, "it counts as unsent no more");
    });
  }

  test("expire() rejects with the error for the time of coming, sent or not, and nothing younger", async () => {
    const bed = new Bed();
    const sent = bed.add(1n, { nowMs: 10 });
    bed.outcome = "noLeader";
    const unsent = bed.add(2n, { nowMs: 20 });
    void bed.add(3n, { nowMs: 30 });
    const asked: number[] = [];
    const errorFor = (sinceMs: number) => {
      asked.push(sinceMs);
      return new StoreError(sinceMs === 10 ? "Timeout" : "TimeoutLeaderFail");
    };
    bed.proposals.expire(109, errorFor);
    assert.equal(bed.proposals.size, 3);
    bed.proposals.expire(120, errorFor);
    await assert.rejects(sent, { code: "Timeout" });
    await assert.rejects(unsent, { code: "TimeoutLeaderFail" });
    assert.deepEqual([asked, bed.proposals.size], [[10, 20], 1]);
    bed.takeSent();
    bed.outcome = "accepted";
    bed.proposals.sendAgain();
    assert.deepEqual(bed.takeSent(), [3n], "what has expired is not sent");
  });

  test("an abort forgets the call: unsent it is never sent, sent its outcome goes to nobody", async () => {
    const bed = new Bed();
    const controller = new AbortController();
    const reason = new Error("gone");
    const sent = bed.add(1n, { signal: controller.signal });
    bed.outcome = "noLeader";
    const unsent = bed.add(2n, { signal: controller.signal });
    bed.takeSent();
    controller.abort(reason);
    await assert.rejects(sent, reason);
    await assert.rejects(unsent, reason);
    assert.equal(bed.proposals.size, 0);
    bed.proposals.settle(1n, DONE);
    bed.outcome = "accepted";
    bed.proposals.sendAgain();
    void bed.add(3n);
    assert.deepEqual(bed.takeSent(), [3n]);
  });

  test("rejectUnsent() rejects what nobody has, and lets the others finish", async () => {
    const bed = new Bed();
    const sent = bed.add(1n);
    bed.outcome = "noLeader";
    const unsent = [bed.add(2n), bed.add(3n)];
    const error = new StoreError("Stopped");
    bed.proposals.rejectUnsent(error);
    for (const call of unsent) await assert.rejects(call, error);
    assert.equal(bed.proposals.size, 1);
    bed.proposals.settle(1n, DONE);
    await sent;
  });

  test("rejectAll() rejects everything, and nothing of it is sent", async () => {
    const bed = new Bed();
    const sent = bed.add(1n);
    bed.outcome = "noLeader";
    const unsent = bed.add(2n);
    bed.takeSent();
    const error = new StoreError("Stopped");
    bed.proposals.rejectAll(error);
    for (const call of [sent, unsent]) await assert.rejects(call, error);
    bed.outcome = "accepted";
    bed.proposals.sendAgain();
    assert.deepEqual([bed.takeSent(), bed.proposals.size], [[], 0]);
  });

  test("a request id that is waited for already trips", () => {
    const bed = new Bed();
    void bed.add(1n);
    assert.throws(() => bed.add(1n), /request id 1 is used once/);
  });
});
