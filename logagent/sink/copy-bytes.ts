/** Below this a copy in JavaScript is cheaper than the call that copies. */
const COPY_CALL_MIN_BYTES = 64;

/** Puts `source[start .. end)` at `target[at]`, where there is room; returns the position behind it. Called for every line. */
export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Buffer,
  start: number,
  end: number,
): number {
  if (end - start >= COPY_CALL_MIN_BYTES) return at + source.copy(target, at, start, end);
  let next = at;
  for (let i = start; i < end; i++) target[next++] = source[i]!;
  return next;
}
