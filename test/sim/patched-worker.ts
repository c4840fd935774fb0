import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { invariant } from "../../base/invariant.ts";

/** A bug that no part can be put in the place of: one line of the source reads otherwise, in this thread alone. */
export interface Patch {
  /** End of the file's address. */
  readonly file: string;
  /** Is in it once. */
  readonly find: string;
  readonly replace: string;
}

export interface PatchedRun {
  /** Bare cores, or whole members. */
  readonly of: "core" | "whole";
  /** Only seeds about elections. */
  readonly onlyElections: boolean;
  readonly patch: Patch;
  readonly fromSeed: number;
  readonly toSeed: number;
}

export interface PatchedOutcome {
  /** The first seed that found something; undefined: none did. */
  readonly seed: number | undefined;
  readonly law: string;
}

const { of, onlyElections, patch, fromSeed, toSeed }: PatchedRun = workerData;
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

const { outsideOfMicrotasks } = await import("./drain.ts");
const { run, planOf } =
  of === "core"
    ? {
        run: (await import("./run-core-seed.ts")).runCoreSeed,
        planOf: (await import("./core-plan.ts")).corePlanOf,
      }
    : { run: (await import("./run-seed.ts")).runSeed, planOf: (await import("./plan.ts")).planOf };
invariant(isPatched, `${patch.file} is part of what is simulated`);

const outcome = await outsideOfMicrotasks((): PatchedOutcome => {
  for (let seed = fromSeed; seed <= toSeed; seed += 1) {
    if (onlyElections && planOf(seed).theme !== "elections") continue;
    const { violation } = run(seed);
    if (violation !== undefined) return { seed, law: lawOf(violation) };
  }
  return { seed: undefined, law: "" };
});
parentPort?.postMessage(outcome);

function lawOf(violation: unknown): string {
  return violation instanceof Error && "law" in violation ? String(violation.law) : String(violation);
}
