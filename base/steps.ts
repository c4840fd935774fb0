import type { Clock } from "./clock.ts";
import type { Later } from "./later.ts";

/** Longest time one piece of long work holds the event loop: heartbeats and small requests wait no longer for it. */
const SLICE_MS = 10;

/** Runs long work, which yields between bounded steps, to its end, and leaves the event loop to others meanwhile. */
export type RunSteps = <Result>(steps: Generator<undefined, Result>) => Promise<Result>;

/** A slice of at most 10 ms (and one step) a turn of the event loop. */
export function runInSlices({ clock, later }: { readonly clock: Clock; readonly later: Later }): RunSteps {
  return (steps) =>
    new Promise((resolve, reject) => {
      const slice = () => {
        try {
          const endMs = clock.monotonicMs() + SLICE_MS;
          do {
            const step = steps.next();
            if (step.done === true) return resolve(step.value);
          } while (clock.monotonicMs() < endMs);
          later(slice);
        } catch (error) {
          reject(error);
        }
      };
      slice();
    });
}

/** Runs the same work in one go, where nobody waits. */
export function runAtOnce<Result>(steps: Generator<undefined, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
