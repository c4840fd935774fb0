import type { LineSpans } from "../framing/types.ts";

/** Bytes that the ledger keeps for a line. */
const LEDGER_BYTES = 4;
/** Bytes that it keeps for lines which follow one another: of lines with keys it may be each. */
const LEDGER_RUN_BYTES = 96;

/**
 * What every driver keeps for a line beyond its bytes of the file, on average, rounded up: its place in the ledger, its key,
 * and what rules have made its value longer.
 */
export function keptBytesPerLine(spans: LineSpans): number {
  const { keys, positions, starts, ends, count, from, to } = spans;
  if (count === 0) return LEDGER_BYTES;
  const runBytes = keys === undefined ? 0 : LEDGER_RUN_BYTES;
  // Lines that no rule has touched stand in the chunk as in the file.
  const valueBytes = positions === undefined ? 0 : ends[count - 1]! - starts[0]! - (to - from);
  return LEDGER_BYTES + Math.ceil((runBytes + keyBytes(spans) + Math.max(0, valueBytes)) / count);
}

function keyBytes({ keys, count }: LineSpans): number {
  if (keys === undefined) return 0;
  if (keys instanceof Uint8Array) return keys.length * count;
  return keys.reduce((sum, key) => sum + (key?.length ?? 0), 0);
}
