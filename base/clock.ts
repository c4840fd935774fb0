/** Time as a port: what decides takes it as an argument, so that a seed replays it. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. Leases, elections, timeouts and back-off use this one only. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch, as the machine believes; may jump. For record timestamps and logs only. */
  wallMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms, options) => sleepFor(ms, options?.signal),
};

/** Resolves after `ms`, or as soon as the signal is aborted; who waits looks which it was. */
export async function sleepUnlessAborted(
  clock: Pick<Clock, "sleep">,
  ms: number,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  try {
    await clock.sleep(ms, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function sleepFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
