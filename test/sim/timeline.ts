import { drainMicrotasks } from "./drain.ts";
import { EventHeap } from "./event-heap.ts";

/** An event that waits for its time. */
export interface Timer {
  atMs: number;
  sequence: number;
  readonly owner: Owner;
  run: (() => void) | undefined;
}

/** Whose event it is: who is dead does nothing any more, who is paused does it later. */
export interface Owner {
  readonly number: number;
  readonly fate: "alive" | "paused" | "dead";
  /** Takes an event that came while it was paused. */
  hold(timer: Timer): void;
  /** After each of its events, when all that followed from it in the same moment is done. */
  afterEvent(): void;
}

/**
 * Virtual time: events one after another, the microtasks of each drained before the next. Milliseconds from 0. What
 * happened goes into a hash: two runs of one seed that differ anywhere differ in it.
 */
export class Timeline {
  readonly #events = new EventHeap<Timer>();
  #nowMs = 0;
  #sequence = 0;
  #hash = 0;
  #eventCount = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  get traceHash(): number {
    return this.#hash >>> 0;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  after(delayMs: number, owner: Owner, run: () => void): Timer {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: 0, owner, run };
    this.#push(timer);
    return timer;
  }

  /** An event that its owner held comes now. */
  release(timer: Timer): void {
    timer.atMs = this.#nowMs;
    this.#push(timer);
  }

  /** Its event will not happen. */
  cancel(timer: Timer): void {
    timer.run = undefined;
  }

  /** Adds a number of what happens to the trace's hash. */
  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193) ^ (this.#hash >>> 15);
  }

  /** Lets events happen until the time is up or `isOver` says so. Throws what an event throws. */
  run(options: { readonly untilMs: number; readonly isOver: () => boolean }): void {
    for (;;) {
      const next = this.#events.peek();
      if (next === undefined || next.atMs > options.untilMs) break;
      this.#events.pop();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#happen(next);
      if (options.isOver()) return;
    }
    this.#nowMs = options.untilMs;
  }

  #push(timer: Timer): void {
    this.#sequence += 1;
    timer.sequence = this.#sequence;
    this.#events.push(timer);
  }

  #happen(timer: Timer): void {
    const { owner, run } = timer;
    if (run === undefined || owner.fate === "dead") return;
    if (owner.fate === "paused") {
      owner.hold(timer);
      return;
    }
    this.#eventCount += 1;
    this.mix(timer.atMs * 4096);
    this.mix(owner.number);
    timer.run = undefined;
    run();
    drainMicrotasks();
    owner.afterEvent();
  }
}
