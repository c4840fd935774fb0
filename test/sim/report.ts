import type { Outcome } from "./run-seed.ts";

/** What a failed seed tells: the one line that lives it again, what was broken, and what was said last. */
export function report({ seed, violation, log }: Pick<Outcome, "seed" | "violation" | "log">): string {
  const what = violation instanceof Error ? (violation.stack ?? violation.message) : String(violation);
  return [...log, what, `again: SIM_SEED=${seed} node test/sim/run-seeds.ts`].join("\n");
}
