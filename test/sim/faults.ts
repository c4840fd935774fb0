import type { Chance } from "./chance.ts";
import type { MessageLog } from "./message-log.ts";
import type { SimProcess } from "./sim-process.ts";

/** Something bad that can be done to a cluster, and taken back. */
export interface Fault {
  readonly name: string;
  /** How often it is chosen, beside the others. */
  readonly weight: number;
  /** Undefined: it cannot be done now. */
  strike(): Struck | undefined;
}

export interface Struck {
  /** To whom it was done, for the log. */
  readonly what: string;
  /** Ends it. Nothing to do for what happens in a moment. */
  mend(): void;
}

export interface Intensity {
  /** From one fault to the next, on average. */
  readonly pauseMs: number;
  /** How long one lasts, typically; several overlap when it is longer than the pause. */
  readonly durationMs: number;
}

/** Does bad things at random until it is told to stop, and then mends all. */
export class FaultDirector {
  readonly #process: SimProcess;
  readonly #chance: Chance;
  readonly #faults: readonly Fault[];
  readonly #intensity: Intensity;
  readonly #log: MessageLog;
  readonly #mends = new Set<() => void>();
  #isOver = false;

  constructor(options: {
    readonly process: SimProcess;
    readonly chance: Chance;
    readonly faults: readonly Fault[];
    readonly intensity: Intensity;
    readonly log: MessageLog;
  }) {
    this.#process = options.process;
    this.#chance = options.chance;
    this.#faults = options.faults;
    this.#intensity = options.intensity;
    this.#log = options.log;
  }

  start(): void {
    this.#process.after(this.#chance.longTail(this.#intensity.pauseMs), () => {
      if (this.#isOver) return;
      this.#strikeOne();
      this.start();
    });
  }

  stop(): void {
    this.#isOver = true;
    this.#log.note("faults stop");
    for (const mend of [...this.#mends]) mend();
  }

  #strikeOne(): void {
    const fault = this.#pick();
    const struck = fault?.strike();
    if (fault === undefined || struck === undefined) return;
    const label = `${fault.name} ${struck.what}`.trimEnd();
    this.#log.note(`fault: ${label}`);
    const mend = () => {
      if (!this.#mends.delete(mend)) return;
      this.#log.note(`mended: ${label}`);
      struck.mend();
    };
    this.#mends.add(mend);
    this.#process.after(this.#chance.longTail(this.#intensity.durationMs), mend);
  }

  #pick(): Fault | undefined {
    let rest = this.#chance.next() * this.#faults.reduce((sum, { weight }) => sum + weight, 0);
    return this.#faults.find(({ weight }) => {
      rest -= weight;
      return rest < 0;
    });
  }
}
