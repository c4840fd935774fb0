import type { RaftLimits } from "../../store/raft/types.ts";
import { Chance } from "./chance.ts";
import type { Intensity } from "./faults.ts";

/** What a seed decides for bare cores before anything happens. */
export interface CorePlan extends Intensity {
  readonly chance: Chance;
  /** "elections": leaders that live for a moment, on a slow network, and entries that travel alone (Raft, figure 8). */
  readonly theme: "any" | "elections";
  readonly members: number;
  readonly virtualMs: number;
  /** Calls a second. */
  readonly callRate: number;
  /** Typical time between two members. */
  readonly delayMs: number;
  readonly limits: RaftLimits;
}

export function corePlanOf(seed: number): CorePlan {
  const chance = new Chance(seed ^ 0x5eed);
  const theme = chance.pick(["any", "any", "any", "elections"] as const);
  const common = {
    chance,
    theme,
    virtualMs: 60_000 * (chance.hits(0.8) ? 1 : 1 + chance.below(5)),
    callRate: chance.pick([2, 10, 30, 100]),
    limits: limitsOf(chance),
  };
  if (theme === "elections") {
    const limits = { ...common.limits, appendBytes: 0, electionTicks: 4 };
    return { ...common, limits, members: 3, delayMs: chance.pick([10, 30]), pauseMs: 1000, durationMs: 3000 };
  }
  return {
    ...common,
    members: chance.pick([1, 2, 3, 3, 3, 3, 4, 5]),
    delayMs: chance.pick([0.3, 0.3, 3, 30]),
    pauseMs: chance.pick([500, 2000, 5000]),
    durationMs: chance.pick([1000, 3000, 8000]),
  };
}

/** Small, so that they are met. */
function limitsOf(chance: Chance): RaftLimits {
  return {
    electionTicks: 10,
    heartbeatTicks: 1,
    uncommittedBytes: 2000,
    appendBytes: chance.pick([0, 200, 5000]),
    inflightMessages: chance.pick([1, 4, 100]),
    inflightBytes: 1000,
    applyingBytes: 200,
    pendingReads: 8,
  };
}
