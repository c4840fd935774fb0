/** What `promise` gives, or the signal's reason when that comes first; then `promise` is left to itself. */
export async function untilAborted<T>(
  promise: Promise<T>,
  options: { readonly signal: AbortSignal },
): Promise<T> {
  const { signal } = options;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
