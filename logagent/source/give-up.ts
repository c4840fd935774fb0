import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/**
 * Enters as lost what was not delivered of a deleted file that must go, so that its disk is free again. What is delivered may still
 * be acknowledged.
 */
export function giveUp(file: TailedFile, context: SourceContext): void {
  const { record, offset } = file;
  context.lostRest(record, offset, "deleted, and held for longer than there was room");
  // Until the last of it is acknowledged, its record says after a crash what was lost; no less was seen of it than delivered.
  context.deps.checkpoints.saw(record, offset);
  context.deps.checkpoints.touch();
  context.unsettled.addReplaced(file.content);
}
