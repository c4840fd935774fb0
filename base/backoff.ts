import type { Random } from "./random.ts";

/** Limits of a retry loop: the first wait is drawn from [0, baseMs], later ones double up to `maxMs`. */
export interface BackoffLimits {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before retry number `attempt` (0 is the first), in milliseconds: exponential back-off with full
 * jitter, so that a fleet whose store comes back does not come back as one.
 */
export function backoffMs(attempt: number, limits: BackoffLimits, random: Random): number {
  const ceiling = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(attempt, 30));
  return random.next() * ceiling;
}
