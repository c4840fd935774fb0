import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../base/invariant.ts";

/** A deliberate bug: one place of the source reads otherwise, in this thread alone. */
export interface Patch {
  /** End of the file's address. */
  readonly file: string;
  /** Is in it once. */
  readonly find: string;
  readonly replace: string;
}

export interface PatchedRun {
  readonly patch: Patch;
  readonly toSeed: number;
}

export interface PatchedOutcome {
  /** The first seed that found something; undefined: none did. */
  readonly seed: number | undefined;
  readonly law: string;
}

const { patch, toSeed }: PatchedRun = workerData;
let isPatched = false;

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(patch.file)) return loaded;
    const source = String(loaded.source);
    invariant(source.split(patch.find).length === 2, `${patch.file} has "${patch.find}" once`);
    isPatched = true;
    return { ...loaded, source: source.replace(patch.find, patch.replace) };
  },
});

const { runPlan } = await import("./run-plan.ts");
const { planOf } = await import("./plan.ts");
const { lawOf } = await import("./shrink.ts");
invariant(isPatched, `${patch.file} is part of what is tested`);

let outcome: PatchedOutcome = { seed: undefined, law: "" };
for (let seed = 1; seed <= toSeed && outcome.seed === undefined; seed += 1) {
  const result = await runPlan(planOf(seed));
  if (result.violation !== undefined) outcome = { seed, law: lawOf(result) };
}
parentPort?.postMessage(outcome);
