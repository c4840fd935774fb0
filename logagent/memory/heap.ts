import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * What V8 does with garbage goes by what the machine has, not by a limit of ours: it lets the young generation grow to a
 * hundred MiB, and the old one to several times of what lives in it. Both are read anew at each collection.
 */
const SMALL_HEAP_FLAGS = ["--semi-space-growth-factor=1", "--heap-growing-percent=20"];

/** From now on the heap grows little beyond what lives in it, at the price of more frequent collections. */
export function keepHeapSmall(): void {
  for (const flag of SMALL_HEAP_FLAGS) setFlagsFromString(flag);
}

/** V8's own, which Node hides unless it is asked to show it. */
export function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
