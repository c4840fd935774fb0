import { parentPort, workerData } from "node:worker_threads";
import { type Patch, type PatchedOutcome, patchSource } from "../support/patched-source.ts";

export interface PatchedRun {
  readonly patch: Patch;
  readonly toSeed: number;
}

const { patch, toSeed }: PatchedRun = workerData;
const assertPatched = patchSource(patch);
const { runPlan } = await import("./run-plan.ts");
const { planOf } = await import("./plan.ts");
const { lawOf } = await import("../support/violation.ts");
assertPatched();

let outcome: PatchedOutcome = { seed: undefined, law: "" };
for (let seed = 1; seed <= toSeed && outcome.seed === undefined; seed += 1) {
  const { violation } = await runPlan(planOf(seed));
  if (violation !== undefined) outcome = { seed, law: lawOf(violation) };
}
parentPort?.postMessage(outcome);
