import { PeerError } from "./peer-error.ts";

/** Runs work whose signal aborts with the caller's, or with EPEERTIMEOUT and `lateText` after `ms`. */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { readonly ms: number; readonly lateText: string; readonly signal: AbortSignal },
): Promise<T> {
  const { ms, lateText, signal } = options;
  signal.throwIfAborted();
  const limit = new AbortController();
  const onAbort = () => limit.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => limit.abort(new PeerError("EPEERTIMEOUT", lateText)), ms);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
