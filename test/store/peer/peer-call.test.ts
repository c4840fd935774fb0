import assert from "node:assert/strict";
import { test } from "node:test";
import { CodedError } from "../../../base/errors.ts";
import { ANSWER_BYTES_MAX, callPeer, QUESTION_BYTES_MAX } from "../../../store/peer/peer-call.ts";
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

test("callPeer() asks and answers as much as there may be, and says what is too much", async () => {
  await using member = await TestMember.start(7n, {
    onCall: ({ body }) => Promise.resolve(Buffer.alloc(Number(Buffer.from(body).toString().trim()), 1)),
  });
  const ask = (questionBytes: number, answerBytes: number) =>
    callPeer(member.url, call("size", `${answerBytes}`.padEnd(questionBytes - 4)), within(5_000));
  assert.deepEqual(await ask(QUESTION_BYTES_MAX, ANSWER_BYTES_MAX), Buffer.alloc(ANSWER_BYTES_MAX, 1));
  await assert.rejects(ask(QUESTION_BYTES_MAX + 1, 1), {
    code: "EPEERTOOLARGE",
    message: `Cannot ask ${member.url}: the question has 16382 bytes, expected at most 16381`,
  });
  await assert.rejects(ask(100, ANSWER_BYTES_MAX + 1), {
    code: "EPEERTOOLARGE",
    message: "Cannot answer call: the answer has 1048575 bytes, expected at most 1048574",
  });
  assert.deepEqual(member.lines, []);
});

test("callPeer() gives the beginning of a refusal that is very long", async () => {
  await using member = await TestMember.start(7n, {
    onCall: () => Promise.reject(new CodedError("ELONG", "\u20ac".repeat(100_000))),
  });
  await assert.rejects(callPeer(member.url, call("x"), within(5_000)), {
    code: "ELONG",
    message: "\u20ac".repeat(10_000),
  });
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
