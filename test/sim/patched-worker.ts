import { parentPort, workerData } from "node:worker_threads";
import { type Patch, type PatchedOutcome, patchSource } from "../support/patched-source.ts";

export interface PatchedRun {
  /** Only seeds about elections. */
  readonly onlyElections: boolean;
  readonly patch: Patch;
  readonly toSeed: number;
}

const { onlyElections, patch, toSeed }: PatchedRun = workerData;
const assertPatched = patchSource(patch);
const { outsideOfMicrotasks } = await import("./drain.ts");
const { planOf } = await import("./plan.ts");
const { runSeed } = await import("./run-seed.ts");
const { lawOf } = await import("../support/violation.ts");
assertPatched();

const outcome = await outsideOfMicrotasks((): PatchedOutcome => {
  for (let seed = 1; seed <= toSeed; seed += 1) {
    if (onlyElections && planOf(seed).theme !== "elections") continue;
    const { violation } = runSeed(seed);
    if (violation !== undefined) return { seed, law: lawOf(violation) };
  }
  return { seed: undefined, law: "" };
});
parentPort?.postMessage(outcome);
