import { invariant } from "../../base/invariant.ts";

/**
 * Runs every microtask that is ready, and those that they make ready, before it returns. Node's own way between two
 * callbacks, called by hand: a turn of the event loop (`setImmediate`) does the same for 1 µs, this one for 25 ns. It
 * works only outside of a microtask: see {@link outsideOfMicrotasks}.
 */
export const drainMicrotasks: () => void = (() => {
  const drain: unknown = Reflect.get(process, "_tickCallback");
  invariant(typeof drain === "function", "process._tickCallback runs the microtasks (Node 24)");
  return () => {
    drain.call(process);
  };
})();

/** Runs `work` where {@link drainMicrotasks} works: in a callback of the event loop, not in a promise's. */
export function outsideOfMicrotasks<Result>(work: () => Result): Promise<Result> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        assertDrains();
        resolve(work());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Without it a simulation would go on with half of its work undone, and say nothing. */
function assertDrains(): void {
  let hops = 0;
  const hop = async () => {
    for (; hops < 100; hops += 1) await undefined;
  };
  void hop();
  drainMicrotasks();
  invariant(hops === 100, `microtasks are drained by hand, ${hops} of 100 were`);
}
