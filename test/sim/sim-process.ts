import type { Owner, Timeline, Timer } from "./timeline.ts";

/**
 * One life of a process: a scope of events. Killed, nothing that it still waited for ever happens; paused (SIGSTOP), its
 * events wait and then come all at once, in order. A restart is a new one.
 */
export class SimProcess implements Owner {
  readonly name: string;
  readonly number: number;
  readonly #timeline: Timeline;
  readonly #onEnd = new Set<() => void>();
  #fate: "alive" | "paused" | "dead" = "alive";
  #held: Timer[] = [];
  /** Runs after each event. */
  inspect: () => void = () => undefined;

  constructor(options: { readonly name: string; readonly number: number; readonly timeline: Timeline }) {
    this.name = options.name;
    this.number = options.number;
    this.#timeline = options.timeline;
  }

  get fate(): "alive" | "paused" | "dead" {
    return this.#fate;
  }

  get isDead(): boolean {
    return this.#fate === "dead";
  }

  /** Virtual time, which no process itself can tell. */
  get nowMs(): number {
    return this.#timeline.nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#timeline.after(delayMs, this, run);
  }

  cancel(timer: Timer): void {
    this.#timeline.cancel(timer);
  }

  /** Resolves in an event of this process; never, when it dies first. */
  delay(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** What others do when it dies: a connection to it breaks. Returns how to take that back. */
  onEnd(run: () => void): () => void {
    this.#onEnd.add(run);
    return () => this.#onEnd.delete(run);
  }

  pause(): void {
    if (this.#fate === "alive") this.#fate = "paused";
  }

  resume(): void {
    if (this.#fate !== "paused") return;
    this.#fate = "alive";
    const held = this.#held;
    this.#held = [];
    for (const timer of held) this.#timeline.release(timer);
  }

  kill(): void {
    if (this.#fate === "dead") return;
    this.#fate = "dead";
    this.#held = [];
    const listeners = [...this.#onEnd];
    this.#onEnd.clear();
    for (const run of listeners) run();
  }

  hold(timer: Timer): void {
    this.#held.push(timer);
  }

  afterEvent(): void {
    if (this.#fate !== "dead") this.inspect();
  }
}
