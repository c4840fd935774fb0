import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** A delivery that waits so long gives its chunk back when others need one; at once when the sink knows why it waits. */
export const STUCK_AFTER_MS = 2_000;

/** Does it keep a chunk that others need, for a topic that takes nothing? */
export function holdsUpOthers(
  file: Pick<TailedFile, "deliveringSinceMs">,
  { deps, entry }: SourceContext,
  nowMs: number,
): boolean {
  if (file.deliveringSinceMs === undefined || deps.chunks.waiting === 0) return false;
  const isKnown = deps.sink.topic(entry.topic).kind === "waiting";
  return isKnown || nowMs - file.deliveringSinceMs >= STUCK_AFTER_MS;
}
