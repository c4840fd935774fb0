import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { DeliveryError, type DeliveryRemedy } from "../../../logagent/sink/destination.ts";
import { SENT_MAX, SendWindow, type Step } from "../../../logagent/sink/send-window.ts";
import { WindowWorld } from "./kafka/window-world.ts";

const SEEDS = Number(process.env.SEND_WINDOW_SEEDS ?? 1_000);
const FIRST_SEED = Number(process.env.SEND_WINDOW_SEED ?? 1);
const STEPS = 300;

describe("SendWindow, from seeds", () => {
  it("loses nothing, keeps order, and repeats nothing but where that is documented", () => {
    let faults = 0;
    let strict = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const random = seededRandom(seed);
      const world = new WindowWorld(random, { isNumbered: seed % 5 !== 0, isOld: seed % 3 === 0 });
      try {
        for (let step = 0; step < STEPS; step++) world.step();
        world.finish();
        world.assertTrue();
      } catch (error) {
        throw new Error(`Seed ${seed} (SEND_WINDOW_SEED=${seed} SEND_WINDOW_SEEDS=1)`, { cause: error });
      }
      faults += world.faults;
      if (!world.excuses.mayRepeat && !world.excuses.mayLoseSettled) strict += 1;
    }
    if (SEEDS < 100) return;
    assert.ok(faults > SEEDS * 10, `${faults} faults in ${SEEDS} lives`);
    assert.ok(strict > SEEDS / 5, `${strict} of ${SEEDS} lives had no excuse`);
  });
});

describe("SendWindow", () => {
  const random = seededRandom(7);
  const fail = (remedy: DeliveryRemedy) => new DeliveryError("CODE", "failed", { remedy });

  function newWindow(batches: number, options = { isNumbered: true }) {
    const window = new SendWindow<string>(options);
    for (let i = 0; i < batches; i++) window.add(`b${i}`, 10);
    let nowMs = 0;
    const next = (partition = 0) => window.next({ nowMs, partition });
    const send = (partition = 0) => {
      const step = next(partition);
      assert.equal(step.kind, "send");
      return step as Extract<Step<string>, { kind: "send" }>;
    };
    const answer = (attempt: number, error?: DeliveryError) =>
      window.answered(attempt, error, { nowMs, random });
    const pass = () => {
      nowMs += 60_000;
    };
    if (options.isNumbered) window.identified({ producerId: 4n, epoch: 0 });
    return { window, next, send, answer, pass };
  }

  it("next() asks for an identity first", () => {
    const window = new SendWindow<string>({ isNumbered: true });
    window.add("a", 1);
    assert.deepEqual(window.next({ nowMs: 0, partition: 0 }), { kind: "identify", isFresh: false });
  });

  it("next() sends the first alone, and up to five once it is taken", () => {
    const { next, send, answer } = newWindow(10);
    const first = send();
    assert.deepEqual(first.stamp, { producerId: 4n, epoch: 0, baseSequence: 0 });
    assert.equal(next().kind, "wait");
    assert.deepEqual(answer(first.attempt).settled, ["b0"]);
    const sent = Array.from({ length: SENT_MAX }, () => send());
    assert.deepEqual(
      sent.map(({ batch, stamp }) => [batch, stamp?.baseSequence]),
      [1, 2, 3, 4, 5].map((i) => [`b${i}`, i * 10]),
    );
    assert.equal(next().kind, "wait");
    answer(sent[0]?.attempt ?? -1);
    assert.equal(send().batch, "b6");
  });

  it("next() sends one at a time, without a stamp, where nothing is numbered", () => {
    const { next, send, answer } = newWindow(3, { isNumbered: false });
    for (const batch of ["b0", "b1", "b2"]) {
      const sent = send();
      assert.deepEqual([sent.batch, sent.stamp], [batch, undefined]);
      assert.equal(next().kind, "wait");
      answer(sent.attempt);
    }
  });

  it("answered() sends everything again with the same numbers once all answers are there", () => {
    const { next, send, answer, pass } = newWindow(5);
    answer(send().attempt);
    const [a, b, c] = [send(), send(), send()];
    assert.deepEqual(answer(b.attempt, fail("soon")), { settled: [], failure: undefined });
    assert.equal(next().kind, "wait", "nothing new while others are on their way");
    assert.deepEqual(answer(a.attempt).settled, ["b1"]);
    const { settled, failure } = answer(c.attempt);
    assert.deepEqual([settled, failure?.code], [[], "CODE"]);
    const wait = next();
    assert.ok(wait.kind === "wait" && wait.untilMs !== undefined, "after a back-off");
    pass();
    const again = send();
    assert.deepEqual([again.batch, again.stamp], ["b2", b.stamp]);
    assert.equal(next().kind, "wait", "alone until it is taken");
    answer(again.attempt);
    const after = send();
    assert.deepEqual([after.batch, after.stamp], ["b3", c.stamp]);
  });

  it("answered() begins a new epoch at 0 where the sequence cannot go on, and another producer where the id is fenced", () => {
    const { window, next, send, answer, pass } = newWindow(4);
    answer(send().attempt);
    answer(send().attempt, fail("next-epoch"));
    pass();
    const second = send();
    assert.deepEqual([second.batch, second.stamp], ["b1", { producerId: 4n, epoch: 1, baseSequence: 0 }]);
    answer(second.attempt, fail("new-producer"));
    pass();
    assert.deepEqual(next(), { kind: "identify", isFresh: true });
    window.identified({ producerId: 9n, epoch: 0 });
    assert.deepEqual(send().stamp, { producerId: 9n, epoch: 0, baseSequence: 0 });
  });

  it("takes another producer behind the last epoch", () => {
    const window = new SendWindow<string>({ isNumbered: true });
    window.add("a", 1);
    window.identified({ producerId: 1n, epoch: 0x7fff });
    const step = window.next({ nowMs: 0, partition: 0 });
    assert.ok(step.kind === "send");
    window.answered(step.attempt, fail("next-epoch"), { nowMs: 0, random });
    assert.deepEqual(window.next({ nowMs: 60_000, partition: 0 }), { kind: "identify", isFresh: true });
  });

  it("replaceFirst() keeps the numbers, dropFirst() begins a new epoch", () => {
    const { window, next, send, answer, pass } = newWindow(3);
    answer(send().attempt);
    const [large, behind] = [send(), send()];
    answer(large.attempt, fail("too-large"));
    answer(behind.attempt, fail("next-epoch"));
    assert.deepEqual([next().kind, window.size], ["cut", 2]);
    window.replaceFirst([
      { batch: "left", lines: 4 },
      { batch: "right", lines: 6 },
    ]);
    const left = send();
    assert.deepEqual([left.batch, left.stamp?.epoch, left.stamp?.baseSequence], ["left", 0, 10]);
    answer(left.attempt);
    const [right, again] = [send(), send()];
    assert.deepEqual([right.batch, right.stamp?.baseSequence], ["right", 14]);
    assert.deepEqual(again.stamp, behind.stamp);
    answer(right.attempt, fail("too-large"));
    answer(again.attempt, fail("next-epoch"));
    assert.equal(next().kind, "cut");
    window.dropFirst();
    pass();
    const next1 = send();
    assert.deepEqual([next1.batch, next1.stamp], ["b2", { producerId: 4n, epoch: 1, baseSequence: 0 }]);
  });

  it("next() takes another producer where the partition becomes another", () => {
    const { next, send, answer } = newWindow(2);
    answer(send(5).attempt);
    assert.deepEqual(next(1), { kind: "identify", isFresh: true });
  });

  it("numbers begin again behind 2^31 - 1", () => {
    const window = new SendWindow<string>({ isNumbered: true });
    window.identified({ producerId: 1n, epoch: 0 });
    const sequences: number[] = [];
    for (let i = 0; i < 5; i++) {
      window.add("x", 2 ** 29 + 1);
      const step = window.next({ nowMs: 0, partition: 0 });
      assert.ok(step.kind === "send");
      sequences.push(step.stamp?.baseSequence ?? -1);
      window.answered(step.attempt, undefined, { nowMs: 0, random });
    }
    assert.deepEqual(sequences, [0, 2 ** 29 + 1, 2 ** 30 + 2, 3 * 2 ** 29 + 3, 4]);
  });
});
