import assert from "node:assert/strict";
import { test } from "node:test";
import type { CodedError } from "../../../base/errors.ts";
import { callPeer } from "../../../store/peer/peer-call.ts";
import { StoreError } from "../../../store/proto/errors.ts";
import { TestMember } from "./peer-bed.ts";

const call = (method: string, body = "") => ({ method, body: Buffer.from(body) });
const within = (timeoutMs: number, signal = new AbortController().signal) => ({ timeoutMs, signal });

test("callPeer() asks whoever listens at a URL, and gives the answer", async () => {
  const asked: string[] = [];
  await using member = await TestMember.start(7n, {
    onCall: async ({ method, body }) => {
      asked.push(`${method} ${Buffer.from(body)}`);
      return Buffer.alloc(100_000, body.length);
    },
  });
  const answer = await callPeer(member.url, call("members", "a question"), within(5_000));
  assert.deepEqual(asked, ["members a question"]);
  assert.deepEqual(answer, Buffer.alloc(100_000, 10));
  await Promise.all(Array.from({ length: 20 }, () => callPeer(member.url, call("again"), within(5_000))));
  assert.equal(asked.length, 21);
});

test("callPeer() rejects with the code and the words of the member", async () => {
  await using member = await TestMember.start(7n, {
    onCall: () => Promise.reject(new StoreError("LearnerNotReady")),
  });
  await assert.rejects(callPeer(member.url, call("promote"), within(5_000)), (error: CodedError) => {
    assert.equal(error.code, "LearnerNotReady");
    assert.match(error.message, /in sync with leader$/);
    return true;
  });
});

test("callPeer() is told nothing of a bug at the member, whose log has it", async () => {
  await using member = await TestMember.start(7n, {
    onCall: () => Promise.reject(new TypeError("a bug")),
  });
  await assert.rejects(callPeer(member.url, call("x"), within(5_000)), { code: "EPEERCLOSED" });
  assert.ok(member.lines.some(({ msg, reason }) => msg === "call of a peer failed" && reason === "a bug"));
});

test("callPeer() rejects when nobody listens, when no answer comes in time, and with its signal", async () => {
  await using member = await TestMember.start(7n, { onCall: () => new Promise(() => undefined) });
  await assert.rejects(callPeer("http://127.0.0.1:1", call("x"), within(5_000)), { code: "EPEERCLOSED" });
  await assert.rejects(callPeer(member.url, call("x"), within(50)), {
    code: "EPEERTIMEOUT",
    message: `Cannot ask ${member.url}: no answer within 50 ms`,
  });
  const controller = new AbortController();
  const waiting = callPeer(member.url, call("x"), within(5_000, controller.signal));
  controller.abort(new Error("stop"));
  await assert.rejects(waiting, /^Error: stop$/);
});

test("A call ends at the member when the caller has gone", async () => {
  const ended = Promise.withResolvers<void>();
  await using member = await TestMember.start(7n, {
    onCall: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          ended.resolve();
          reject(signal.reason);
        });
      }),
  });
  await assert.rejects(callPeer(member.url, call("x"), within(50)), { code: "EPEERTIMEOUT" });
  await ended.promise;
});

test("A member without a handler refuses calls in words", async () => {
  await using member = await TestMember.start(7n);
  await assert.rejects(callPeer(member.url, call("x"), within(5_000)), {
    code: "EPEERREFUSED",
    message: 'Cannot answer call "x": this member answers none',
  });
});
