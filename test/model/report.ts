import type { Outcome } from "./run-plan.ts";

/** What a failed sequence tells: what happened, what was broken, and the one line that lives it again. */
export function report({ plan, violation, history }: Outcome): string {
  const what = violation instanceof Error ? (violation.stack ?? violation.message) : String(violation);
  return [...history, what, `again: MODEL_SEED=${plan.seed} npm run model`].join("\n");
}
