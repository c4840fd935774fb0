import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pino } from "pino";
import { BEAT_MIN_MS, Pulse, type PulseMember } from "../../../logagent/task/pulse.ts";
import { SettlingClock } from "../../support/settling-clock.ts";

/** A clock that counts how often somebody slept. */
class CountingClock extends SettlingClock {
  sleeps = 0;

  override sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    this.sleeps += 1;
    return super.sleep(ms, options);
  }
}

function setUp() {
  const clock = new CountingClock();
  return { clock, pulse: new Pulse({ clock, logger: pino({ level: "silent" }) }) };
}

/** Beaten every `everyMs`; notes when. */
class Member implements PulseMember {
  readonly beatsMs: number[] = [];
  readonly #clock: CountingClock;
  readonly #everyMs: number;

  constructor(clock: CountingClock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  async beat(): Promise<number> {
    this.beatsMs.push(this.#clock.monotonicMs());
    return this.#clock.monotonicMs() + this.#everyMs;
  }
}

suite("Pulse", () => {
  test("a thousand members that are due together wake the agent as often as one", async () => {
    const { clock, pulse } = setUp();
    const members = Array.from({ length: 1_000 }, () => new Member(clock, 250));
    for (const member of members) pulse.join(member);
    await clock.advance(1_000);
    for (const { beatsMs } of members) assert.deepEqual(beatsMs, [0, 250, 500, 750, 1_000]);
    assert.ok(clock.sleeps <= 15, `${clock.sleeps} sleeps in a second`);
    for (const member of members) pulse.leave(member);
    await clock.advance(1_000);
    const { sleeps } = clock;
    await clock.advance(10_000);
    assert.equal(clock.sleeps, sleeps);
  });

  test("beats that are due together and take long leave the event loop to others between them", async () => {
    const { clock, pulse } = setUp();
    let turn = 0;
    const turns: number[] = [];
    const members = Array.from({ length: 10 }, () => ({
      beat: async () => {
        turns.push(turn);
        clock.jump(6);
        return Number.POSITIVE_INFINITY;
      },
    }));
    for (const member of members) pulse.join(member);
    while (turns.length < members.length) {
      await new Promise((resolve) => setImmediate(resolve));
      turn += 1;
    }
    assert.deepEqual(
      turns.map((one) => one - (turns[0] ?? 0)),
      [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
    );
    for (const member of members) pulse.leave(member);
    await clock.advance(2_000);
  });

  test("hurry() brings the next beat as soon as the grid allows, also when asked for within a beat", async () => {
    const { clock, pulse } = setUp();
    const member = new Member(clock, 1_000);
    pulse.join(member);
    await clock.advance(5);
    pulse.hurry(member);
    await clock.advance(500);
    assert.deepEqual(member.beatsMs, [0, BEAT_MIN_MS]);
    pulse.hurry(member);
    await clock.advance(0);
    assert.deepEqual(member.beatsMs, [0, BEAT_MIN_MS, 505]);
    pulse.leave(member);
    await clock.advance(1_000);
  });

  test("a beat that takes its time is not begun again, and holds up nobody", async () => {
    const { clock, pulse } = setUp();
    const slow = { begun: 0, end: Promise.withResolvers<number>() };
    const slowMember = {
      beat: () => {
        slow.begun += 1;
        return slow.end.promise;
      },
    };
    const other = new Member(clock, 250);
    pulse.join(slowMember);
    pulse.join(other);
    await clock.advance(0);
    pulse.hurry(slowMember);
    await clock.advance(1_000);
    assert.equal(slow.begun, 1);
    assert.equal(other.beatsMs.length, 5);
    slow.end.resolve(100_000);
    await clock.advance(BEAT_MIN_MS);
    assert.equal(slow.begun, 2);
    pulse.leave(slowMember);
    pulse.leave(other);
    await clock.advance(1_000);
  });
});
