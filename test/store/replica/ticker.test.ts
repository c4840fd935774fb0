import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Clock } from "../../../base/clock.ts";
import { LoopDelay } from "../../../store/replica/loop-delay.ts";
import { Ticker } from "../../../store/replica/ticker.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

class Bed {
  readonly clock = new SettlingClock();
  readonly loopDelay = new LoopDelay();
  readonly ticks: number[] = [];
  readonly errors: unknown[] = [];
  onTick: () => void = () => undefined;
  readonly ticker: Ticker;

  constructor(clock?: Clock) {
    this.ticker = new Ticker({
      clock: clock ?? this.clock,
      tickMs: 100,
      loopDelay: this.loopDelay,
      onTick: (nowMs) => {
        this.ticks.push(nowMs);
        this.onTick();
      },
      onError: (error) => this.errors.push(error),
    });
  }
}

suite("Ticker", () => {
  test("ticks at once and then each period, and tells the time", async () => {
    const bed = new Bed();
    await bed.clock.advance(350);
    assert.deepEqual(bed.ticks, [0, 100, 200, 300]);
    await bed.ticker.stop();
  });

  test("stop() ends it without an error, also twice, and nothing ticks after it", async () => {
    const bed = new Bed();
    await bed.clock.advance(100);
    await Promise.all([bed.ticker.stop(), bed.ticker.stop()]);
    await bed.clock.advance(1000);
    assert.deepEqual([bed.ticks, bed.errors], [[0, 100], []]);
  });

  test("a late tick is one, not many, and its delay is noted", async () => {
    const clock = new SettlingClock();
    // The event loop is held for 270 ms each time.
    const bed = new Bed(lateBy(clock, 270));
    await clock.advance(380);
    assert.deepEqual(bed.ticks, [0, 370]);
    assert.equal(bed.loopDelay.lastMs, 270);
    await bed.ticker.stop();
  });

  test("what a tick throws ends it, and is told once", async () => {
    const bed = new Bed();
    const error = new Error("cannot tick");
    bed.onTick = () => {
      if (bed.ticks.length === 2) throw error;
    };
    await bed.clock.advance(1000);
    assert.deepEqual([bed.ticks, bed.errors], [[0, 100], [error]]);
    await bed.ticker.stop();
  });

  test("an error of the clock is no stop", async () => {
    const error = new Error("the clock broke");
    const clock = new SettlingClock();
    const bed = new Bed({
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      sleep: () => Promise.reject(error),
    });
    await clock.advance(100);
    assert.deepEqual([bed.ticks, bed.errors], [[0], [error]]);
  });
});

/** A clock on which every sleep takes longer than asked for. */
function lateBy(clock: SettlingClock, ms: number): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    sleep: (asked, options) => clock.sleep(asked + ms, options),
  };
}
