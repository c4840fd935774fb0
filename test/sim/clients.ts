import type { Caller, Endpoint } from "./caller.ts";
import type { Chance } from "./chance.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Operations } from "./operations.ts";

/** What every client works with. */
export interface ClientWorld {
  readonly caller: Caller;
  readonly chance: Chance;
  readonly chronicle: Chronicle;
  readonly operations: Operations;
  /** Members that clients know of, up or down. */
  readonly endpoints: () => readonly (Endpoint | undefined)[];
  /** Keys that clients use, in order. */
  readonly keys: readonly string[];
  /** A value that nobody has used. */
  readonly newValue: () => string;
  /** Told what a violation that is seen in a promise would not tell anybody else. */
  readonly onViolation: (violation: unknown) => void;
}

/** Codes that say for sure that a write has not happened, and will not. */
const REFUSALS: ReadonlySet<string> = new Set([
  "unreachable",
  "NoLeader",
  "TooManyRequests",
  "NoSpace",
  "LeaseNotFound",
  "LeaseExist",
  "Compacted",
  "FutureRev",
  "NotSupportedForLearner",
]);

export function isRefusal(code: string): boolean {
  return REFUSALS.has(code);
}

/** A client stays with a member while that answers, and goes to another one when it does not. */
export class MemberChoice {
  readonly #world: ClientWorld;
  #chosen: Endpoint | undefined;

  constructor(world: ClientWorld) {
    this.#world = world;
  }

  get(): Endpoint | undefined {
    const all = this.#world.endpoints();
    if (this.#chosen === undefined || !all.includes(this.#chosen))
      this.#chosen = this.#world.chance.pick(all);
    return this.#chosen;
  }

  change(): void {
    this.#chosen = undefined;
  }
}
