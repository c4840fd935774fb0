import { type Clock, sleepUnlessAborted } from "../../base/clock.ts";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { StoreError } from "../proto/errors.ts";
import { CompactionRequest } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";
import type { AutoCompactionPolicy } from "./auto-compaction-policy.ts";
import type { Proposals } from "./proposals.ts";

/** Compacts by the policy until the signal aborts, on the leader alone. What fails is tried again an interval later. */
export async function runAutoCompaction(options: {
  readonly policy: AutoCompactionPolicy;
  readonly replica: Replica;
  readonly proposals: Proposals;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { policy, replica, clock, logger, signal } = options;
  for (;;) {
    policy.sample(replica.state.revision);
    await sleepUnlessAborted(clock, policy.intervalMs, { signal });
    if (signal.aborted) return;
    if (replica.status.role !== "leader") continue;
    const revision = policy.due(clock.monotonicMs(), replica.state.revision);
    if (revision === undefined) continue;
    try {
      await compact(options, revision);
      policy.compacted(revision, clock.monotonicMs());
      logger.info({ revision }, "completed auto compaction");
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ revision, reason: errorMessage(error) }, "failed auto compaction, will retry");
    }
  }
}

async function compact(
  { proposals, signal }: Parameters<typeof runAutoCompaction>[0],
  revision: number,
): Promise<void> {
  const request = CompactionRequest.encode({ revision, physical: false }).finish();
  try {
    await proposals.propose("compaction", request, { signal });
  } catch (error) {
    // Somebody else was faster.
    if (!(error instanceof StoreError && error.code === "Compacted")) throw error;
  }
}
