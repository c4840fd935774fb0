import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Plan } from "./plan.ts";
import { Sequence } from "./sequence.ts";
import { real } from "./watched-fs.ts";

/** What a sequence came to. */
export interface Outcome {
  readonly plan: Plan;
  readonly violation: unknown;
  /** What happened, a line each. */
  readonly history: readonly string[];
  readonly contents: number;
  readonly deliveries: number;
  readonly losses: number;
}

/** Tests that come one after another share a folder; its name is no part of what happens. */
const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "logagent-model-")));
process.once("exit", () => real.rmSync(ROOT, { recursive: true, force: true }));
let runs = 0;

/** Lives through a plan, one at a time in a process; the violation is in the answer. */
export async function runPlan(plan: Plan): Promise<Outcome> {
  runs += 1;
  const folder = join(ROOT, `${runs}`);
  const sequence = new Sequence(plan, folder);
  let violation: unknown;
  try {
    await sequence.run();
  } catch (error) {
    violation = error;
  } finally {
    await sequence.close();
    for (const path of [folder, `${folder}.c`]) real.rmSync(path, { recursive: true, force: true });
  }
  const { world, lossRecords, history } = sequence.facts;
  return {
    plan,
    violation,
    history: history.map((line) => line.replaceAll(folder, "")),
    contents: world.contents.length,
    deliveries: sequence.deliveries,
    losses: lossRecords.length,
  };
}
