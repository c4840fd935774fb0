import type { Entry } from "../../conf/collect-config.ts";
import { type Flush, NO_FLUSH } from "../framing/types.ts";

/** What of a file that is at its end, and not finished, has waited long enough after so long without growth. */
export function flushDue(entry: Pick<Entry, "partialLineTimeoutMs" | "multiline">, quietMs: number): Flush {
  const partialLine = quietMs >= (entry.partialLineTimeoutMs ?? Number.POSITIVE_INFINITY);
  const group = quietMs >= (entry.multiline?.timeoutMs ?? Number.POSITIVE_INFINITY);
  return partialLine || group ? { final: false, partialLine, group } : NO_FLUSH;
}

/** After how long without growth, in all, there is more to flush than after `quietMs`. */
export function nextFlushMs(
  { partialLineTimeoutMs, multiline }: Pick<Entry, "partialLineTimeoutMs" | "multiline">,
  quietMs: number,
): number {
  const timeouts = [partialLineTimeoutMs, multiline?.timeoutMs].filter(
    (ms) => ms !== undefined && ms > quietMs,
  );
  return Math.min(...timeouts.map(Number), Number.POSITIVE_INFINITY);
}
