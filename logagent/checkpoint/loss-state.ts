import type { CheckpointContent } from "./checkpoint-codec.ts";
import type { LossState } from "./loss-journal.ts";

/** What the accounts of the checkpoints say is lost: the loss record they know last says the same. */
export function lossState({ records, removed, losses }: CheckpointContent): LossState {
  let { lost: bytes, lossesUnknown: unknown } = removed;
  for (const { account } of records) {
    bytes += account.lost;
    unknown += account.lossesUnknown;
  }
  return { last: losses, totals: { bytes, unknown } };
}
