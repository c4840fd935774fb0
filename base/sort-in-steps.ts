/** Elements that are sorted, or merged, between two yields: a few milliseconds. */
const ELEMENTS_A_STEP = 4096;

/** The elements in order, in a new array, stably, as `Array.prototype.toSorted` gives them; in steps (a merge sort, bottom up). */
export function* sortInSteps<T>(
  elements: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < elements.length; from += ELEMENTS_A_STEP) {
    if (from > 0) yield;
    runs.push(elements.slice(from, from + ELEMENTS_A_STEP).sort(compare));
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const [left, right] = runs.slice(i, i + 2) as [T[], T[] | undefined];
      merged.push(right === undefined ? left : yield* merge(left, right, compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, T[]> {
  const merged: T[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const takesLeft = compare(left[l] as T, right[r] as T) <= 0;
    merged.push((takesLeft ? left[l++] : right[r++]) as T);
    if (merged.length % ELEMENTS_A_STEP === 0) yield;
  }
  return merged.concat(left.slice(l), right.slice(r));
}
