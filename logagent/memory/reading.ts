/** What the agent takes above this part of its limit makes it read less, step by step. */
export const REDUCE_ABOVE = 0.85;
/** Below this part it reads more again, step by step; it begins that way as well. */
export const GROW_BELOW = 0.75;
/** Reading that has stopped at the limit goes on when so much is free again. */
export const RESUME_BELOW = 0.95;
/** Each step halves the reading budget, or doubles it. */
export const HALVINGS_MAX = 6;
/** The reading budget is never less than this, however many steps. */
export const READING_BYTES_MIN = 4 * 1024 * 1024;
/**
 * When it did not help for so long that nothing was read, the memory is held by something else: reading goes on at its least,
 * for to stop for ever would not keep the limit either, and every file would be starved.
 */
export const STOPPED_MAX_MS = 10_000;

/**
 * How much of its budget reading gets.
 * - `growing`: nothing stands in its way; at 0 halvings it has all of it.
 * - `reduced`: the agent takes nearly what it may.
 * - `stopped`: it takes more than it may; nothing is read.
 * - `least`: to stop has not helped.
 */
export type Reading =
  | { readonly kind: "growing"; readonly halvings: number }
  | { readonly kind: "reduced"; readonly halvings: number }
  | { readonly kind: "stopped"; readonly sinceMs: number }
  | { readonly kind: "least" };

/** Carefully: how much reading takes shows only when it takes it. */
export const FIRST_READING: Reading = { kind: "growing", halvings: HALVINGS_MAX };

/** What reading gets from now on, by a new sample of the resident memory. */
export function nextReading(
  reading: Reading,
  sample: { readonly rssBytes: number; readonly limitBytes: number; readonly nowMs: number },
): Reading {
  const { nowMs } = sample;
  const share = sample.rssBytes / sample.limitBytes;
  switch (reading.kind) {
    case "growing":
    case "reduced":
      if (share > 1) return { kind: "stopped", sinceMs: nowMs };
      return moderated(reading, share);
    case "stopped":
      if (share < RESUME_BELOW) return { kind: "reduced", halvings: HALVINGS_MAX };
      return nowMs - reading.sinceMs < STOPPED_MAX_MS ? reading : { kind: "least" };
    case "least":
      return share < RESUME_BELOW ? { kind: "reduced", halvings: HALVINGS_MAX } : reading;
    default:
      return reading satisfies never;
  }
}

/** Bytes of the whole budget that reading gets; 0: none. */
export function readingBytes(reading: Reading, fullBytes: number): number {
  if (reading.kind === "stopped") return 0;
  const halvings = reading.kind === "least" ? HALVINGS_MAX : reading.halvings;
  return Math.min(fullBytes, Math.max(READING_BYTES_MIN, Math.floor(fullBytes / 2 ** halvings)));
}

function moderated(reading: Extract<Reading, { readonly halvings: number }>, share: number): Reading {
  const { kind, halvings } = reading;
  if (share > REDUCE_ABOVE) return { kind: "reduced", halvings: Math.min(HALVINGS_MAX, halvings + 1) };
  if (share >= GROW_BELOW || halvings === 0) return reading;
  return { kind: halvings === 1 ? "growing" : kind, halvings: halvings - 1 };
}
