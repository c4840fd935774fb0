import type { Entry } from "../../conf/collect-config.ts";

/** What turns the running entries into the desired ones. Within a replacement the old task stops before the new starts. */
export interface TaskDiff {
  readonly start: readonly Entry[];
  /** Same path, other fields: the new task continues at the offset of the old. */
  readonly replace: readonly { readonly from: Entry; readonly to: Entry }[];
  readonly stop: readonly Entry[];
}

/**
 * Compares by path, which is unique in each of the two. An entry whose fields are all the same is in no part of the answer,
 * wherever it stands in the list: its task must not even pause. The answer is in the order of `desired` (stops: of
 * `running`).
 */
export function diffEntries(running: readonly Entry[], desired: readonly Entry[]): TaskDiff {
  const runningByPath = new Map(running.map((entry) => [entry.path, entry]));
  const desiredPaths = new Set(desired.map((entry) => entry.path));
  const start: Entry[] = [];
  const replace: { from: Entry; to: Entry }[] = [];
  for (const entry of desired) {
    const current = runningByPath.get(entry.path);
    if (current === undefined) start.push(entry);
    else if (!isSameEntry(current, entry)) replace.push({ from: current, to: entry });
  }
  return { start, replace, stop: running.filter((entry) => !desiredPaths.has(entry.path)) };
}

/** Entries are what the schema filled in: the same fields with the same values, at every depth, are the same entry. */
export function isSameEntry(a: Entry, b: Entry): boolean {
  return isSameValue(a, b);
}

/** Of values as JSON has them. */
function isSameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  const [first, second] = [a, b] as [Record<string, unknown>, Record<string, unknown>];
  return [...names].every((name) => isSameValue(first[name], second[name]));
}
