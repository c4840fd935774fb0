import { lawOf } from "../support/violation.ts";
import type { Op, Plan } from "./plan.ts";
import { type Outcome, runPlan } from "./run-plan.ts";

/** Runs that a shrinking may take. */
const RUNS_MAX = 400;

/**
 * The smallest plan found that breaks the same law as this one: operations are left out, first many at a time, for as long as
 * that succeeds.
 */
export async function shrink(found: Outcome): Promise<Outcome> {
  const law = lawOf(found.violation);
  let best = found;
  let runs = 0;
  for (let size = Math.ceil(found.plan.ops.length / 2); size >= 1; ) {
    let hasShrunk = false;
    for (let at = 0; at < best.plan.ops.length && runs < RUNS_MAX; ) {
      runs += 1;
      const outcome = await runPlan({ ...best.plan, ops: without(best.plan, at, size) });
      if (outcome.violation !== undefined && lawOf(outcome.violation) === law) {
        best = outcome;
        hasShrunk = true;
      } else at += size;
    }
    if (runs >= RUNS_MAX) break;
    if (!hasShrunk || size > 1) size = size === 1 ? 0 : Math.floor(size / 2);
  }
  return best;
}

function without({ ops }: Plan, at: number, count: number): readonly Op[] {
  return [...ops.slice(0, at), ...ops.slice(at + count)];
}
