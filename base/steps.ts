import type { Clock } from "./clock.ts";
import type { Later } from "./later.ts";

/** Longest time one piece of long work holds the event loop: heartbeats and small requests wait no longer for it. */
export const SLICE_MS = 10;

/** Runs long work, which yields between bounded steps, to its end, and leaves the event loop to others meanwhile. */
export type RunSteps = <Result>(steps: Generator<undefined, Result>) => Promise<Result>;

/** A {@link runSlice} each turn of the event loop. */
export function runInSlices({ clock, later }: { readonly clock: Clock; readonly later: Later }): RunSteps {
  return (steps) =>
    new Promise((resolve, reject) => {
      const slice = () => {
        try {
          const last = runSlice(steps, clock);
          if (last.done === true) resolve(last.value);
          else later(slice);
        } catch (error) {
          reject(error);
        }
      };
      slice();
    });
}

/** Runs steps for 10 ms, to the end of the one at hand, and gives what the last of them gave. */
export function runSlice<Result>(
  steps: Generator<undefined, Result>,
  clock: Pick<Clock, "monotonicMs">,
): IteratorResult<undefined, Result> {
  const endMs = clock.monotonicMs() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true || clock.monotonicMs() >= endMs) return step;
  }
}

/** Runs the same work in one go, where nobody waits. */
export function runAtOnce<Result>(steps: Generator<undefined, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
