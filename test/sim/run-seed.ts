import type { Logger } from "pino";
import { Violation } from "../support/violation.ts";
import type { BulkClient } from "./bulk-client.ts";
import { assertAgreement, isQuiet, unquiet } from "./end-checks.ts";
import type { KvClient } from "./kv-client.ts";
import type { LeaseClient } from "./lease-client.ts";
import { planOf } from "./plan.ts";
import type { Timeline } from "./timeline.ts";
import type { Mutation } from "./watchers.ts";
import { World } from "./world.ts";

/** Elections, after the last fault, until everything must have come to rest. */
const LIVENESS_ELECTIONS = 40;

export interface Outcome {
  readonly seed: number;
  readonly violation: unknown;
  /** The last messages, and what befell whom. */
  readonly log: readonly string[];
  readonly virtualMs: number;
  readonly events: number;
  readonly traceHash: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly revisions: number;
  readonly leaders: number;
  readonly watched: number;
  readonly renewals: number;
  readonly memberChanges: number;
  /** Pauses in the middle of an entry that took several turns. */
  readonly halfEntries: number;
  /** Watches that wanted what was compacted. */
  readonly compactedWatches: number;
}

/** One life of a cluster, which the seed decides. To be called outside of microtasks (drain.ts). */
export function runSeed(
  seed: number,
  options: {
    readonly mutation?: Mutation;
    readonly logger?: (name: string, timeline: Timeline) => Logger;
  } = {},
): Outcome {
  const world = new World({ plan: planOf(seed), ...options });
  try {
    live(world);
    comeToRest(world);
  } catch (error) {
    world.violation ??= error;
  }
  const { timeline, operations, violation } = world;
  return {
    seed,
    violation,
    log: violation === undefined ? [] : world.log.lines(),
    virtualMs: timeline.nowMs,
    events: timeline.eventCount,
    traceHash: timeline.traceHash,
    acknowledged: operations.done,
    unknown: operations.unknown,
    revisions: world.chronicle.revision,
    leaders: world.laws.leaderCount,
    watched: world.watchClients.reduce((sum, { told }) => sum + told, 0),
    renewals: world.leaseClients.reduce((sum, { renewed }) => sum + renewed, 0),
    memberChanges: world.operator.changes,
    halfEntries: world.watchers.halfEntries,
    compactedWatches: world.watchClients.reduce((sum, { compactions }) => sum + compactions, 0),
  };
}

function live(world: World): void {
  const { timeline, plan, director } = world;
  for (const client of [...writersOf(world), ...world.watchClients]) client.start();
  director.start();
  if (plan.operatorPauseMs > 0) world.operator.start();
  timeline.run({ untilMs: plan.virtualMs, isOver: () => world.violation !== undefined });
  if (world.violation !== undefined) throw world.violation;
}

/** Faults stop: within a bound the cluster commits, everybody has everything, leases end, watches are complete. */
function comeToRest(world: World): void {
  const { timeline, director, plan, cluster } = world;
  director.stop();
  world.operator.stop();
  for (const client of world.watchClients) client.calm();
  for (const id of cluster.ids()) cluster.start(id);
  const { tickMs, electionTicks } = plan.tuning.limits;
  const limitMs = timeline.nowMs + LIVENESS_ELECTIONS * tickMs * electionTicks;
  const before = world.operations.done;
  const isOver = () => world.violation !== undefined;
  // Clients go on until something is committed again, and then let it come to rest.
  timeline.run({ untilMs: limitMs, isOver: () => isOver() || world.operations.done > before + 2 });
  for (const client of writersOf(world)) client.stop();
  const restMs = timeline.nowMs + LIVENESS_ELECTIONS * tickMs * electionTicks;
  let nextLookMs = 0;
  const isAtRest = () => {
    if (timeline.nowMs < nextLookMs) return false;
    nextLookMs = timeline.nowMs + tickMs;
    return isQuiet(world);
  };
  timeline.run({ untilMs: restMs, isOver: () => isOver() || isAtRest() });
  if (world.violation !== undefined) throw world.violation;
  if (world.operations.done <= before)
    throw new Violation("liveness", `nothing is committed after the last fault: ${unquiet(world)}`);
  if (!isQuiet(world)) throw new Violation("liveness", unquiet(world));
  assertAgreement(world);
}

function writersOf({
  kvClients,
  leaseClients,
  bulkClients,
}: World): readonly (KvClient | LeaseClient | BulkClient)[] {
  return [...kvClients, ...leaseClients, ...bulkClients];
}
