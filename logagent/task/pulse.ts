import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { Slice } from "../../base/slice.ts";
import { FolderHints } from "../source/folder-hints.ts";

/** Members are beaten on a grid no finer than this, so that a thousand of them cost few wake-ups, and a hint is soon heard. */
export const BEAT_MIN_MS = 20;
/** A nap ends after so long even when nobody is due. */
const NAP_MAX_MS = 1_000;
/** Why a nap ends before its time. Made once: there are many naps, and an error costs its stack trace. */
const NAP_OVER = new Error("the nap is over");

export interface PulseMember {
  /** Does what is due, and resolves with the monotonic milliseconds at which more will be. Must not reject. */
  beat(): Promise<number>;
}

interface Seat {
  dueMs: number;
  isBeating: boolean;
  /** Asked for while it was being beaten. */
  isHurried: boolean;
}

/**
 * One timer for all tasks of an agent: it sleeps until the first of them is due. A timer each would wake an idle agent
 * thousands of times a second. Without members it holds nothing.
 */
export class Pulse {
  /** Of the folders of all members. */
  readonly hints: FolderHints;
  readonly #clock: Clock;
  readonly #seats = new Map<PulseMember, Seat>();
  #isRunning = false;
  #nap = new AbortController();
  /** 0: nobody naps, or not for longer than BEAT_MIN_MS. */
  #napEndsMs = 0;

  constructor(options: { readonly clock: Clock; readonly logger: Logger }) {
    this.hints = new FolderHints(options);
    this.#clock = options.clock;
  }

  /** The first beat follows at once. */
  join(member: PulseMember): void {
    this.#seats.set(member, { dueMs: 0, isBeating: false, isHurried: false });
    if (this.#isRunning) this.#wakeFor(0);
    else void this.#run();
  }

  /** No beat begins any more; one that has begun goes on. */
  leave(member: PulseMember): void {
    this.#seats.delete(member);
    if (this.#seats.size === 0) this.#wakeFor(0);
  }

  /** The next beat follows as soon as the grid allows. */
  hurry(member: PulseMember): void {
    const seat = this.#seats.get(member);
    if (seat === undefined) return;
    if (seat.isBeating) seat.isHurried = true;
    else this.#due(seat, 0);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Whoever joined goes on first.
    await Promise.resolve();
    while (this.#seats.size > 0) {
      // Watched before it is looked at, so that nothing falls between.
      this.hints.watchAgain();
      await this.#beatDue();
      await this.#clock.sleep(BEAT_MIN_MS);
      await this.#napUntilDue();
    }
    this.#isRunning = false;
  }

  /** Most of a beat goes on at once, and thousands of tasks may be due together: after some of them others have their turn. */
  async #beatDue(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const slice = new Slice(this.#clock);
    for (const [member, seat] of this.#seats) {
      if (!seat.isBeating && seat.dueMs <= nowMs) void this.#beat(member, seat);
      if (slice.isOver) await slice.giveTurn();
    }
  }

  async #napUntilDue(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const napMs = Math.min(this.#firstDueMs() - nowMs, NAP_MAX_MS);
    if (napMs <= 0 || this.#seats.size === 0) return;
    this.#nap = new AbortController();
    this.#napEndsMs = nowMs + napMs;
    try {
      await this.#clock.sleep(napMs, { signal: this.#nap.signal });
    } catch (error) {
      if (error !== NAP_OVER) throw error;
    } finally {
      this.#napEndsMs = 0;
    }
  }

  async #beat(member: PulseMember, seat: Seat): Promise<void> {
    seat.isBeating = true;
    const dueMs = await member.beat();
    seat.isBeating = false;
    this.#due(seat, seat.isHurried ? 0 : dueMs);
    seat.isHurried = false;
  }

  #due(seat: Seat, dueMs: number): void {
    seat.dueMs = dueMs;
    this.#wakeFor(dueMs);
  }

  #wakeFor(dueMs: number): void {
    if (dueMs < this.#napEndsMs) this.#nap.abort(NAP_OVER);
  }

  #firstDueMs(): number {
    let firstMs = Number.POSITIVE_INFINITY;
    for (const seat of this.#seats.values()) if (!seat.isBeating) firstMs = Math.min(firstMs, seat.dueMs);
    return firstMs;
  }
}
