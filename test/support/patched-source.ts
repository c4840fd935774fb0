import { once } from "node:events";
import { registerHooks } from "node:module";
import { Worker } from "node:worker_threads";
import { invariant } from "../../base/invariant.ts";

/** A deliberate bug: one place of the source reads otherwise, in one thread alone. */
export interface Patch {
  /** End of the file's address. */
  readonly file: string;
  /** Is in it once. */
  readonly find: string;
  readonly replace: string;
}

export interface PatchedOutcome {
  /** The first seed that found something; undefined: none did. */
  readonly seed: number | undefined;
  readonly law: string;
}

/** Patches what this thread imports from now on; what it returns trips when the file was not among it. */
export function patchSource({ file, find, replace }: Patch): () => void {
  let isPatched = false;
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(file)) return loaded;
      const source = String(loaded.source);
      invariant(source.split(find).length === 2, `${file} has "${find}" once`);
      isPatched = true;
      return { ...loaded, source: source.replace(find, replace) };
    },
  });
  return () => invariant(isPatched, `${file} is part of what is tested`);
}

/** Runs a worker, whose sources are patched, until it tells its outcome. */
export async function outcomeOf(worker: URL, workerData: object): Promise<PatchedOutcome> {
  const thread = new Worker(worker, { workerData });
  const [outcome]: [PatchedOutcome] = await Promise.race([
    once(thread, "message") as Promise<[PatchedOutcome]>,
    once(thread, "error").then(([error]) => Promise.reject(error)),
  ]);
  return outcome;
}
