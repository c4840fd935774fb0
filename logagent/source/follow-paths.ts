import { Slice } from "../../base/slice.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { TailDeps } from "./types.ts";

/**
 * Sets the order for a config that is applied from now on, before it returns. Each file passes to the entry that its first path
 * belongs to by now, with all that was rotated at that path, so that the task of that entry finds them in order; those that belong
 * to none keep the one they had. No scan begins before that is done.
 */
export async function followPaths(
  entries: readonly Pick<Entry, "path" | "topic">[],
  { checkpoints, claims, clock, scans }: Pick<TailDeps, "checkpoints" | "claims" | "clock" | "scans">,
): Promise<void> {
  claims.setOrder(entries.map(({ path }) => path));
  const topics = new Map(entries.map(({ path, topic }) => [path, topic]));
  await scans.runFirst(async () => {
    const slice = new Slice(clock);
    for (const record of [...checkpoints.records()]) {
      const entry = claims.heirOf(record);
      const topic = topics.get(entry ?? "");
      if (entry !== undefined && topic !== undefined) checkpoints.assign(record, { entry, topic });
      if (slice.isOver) await slice.giveTurn();
    }
  });
}
