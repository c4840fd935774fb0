import type { RaftCore } from "../../store/raft/types.ts";
import { Violation } from "../support/violation.ts";
import { CoreCluster } from "./core-cluster.ts";
import { coreMembership } from "./core-membership.ts";
import { type CorePlan, corePlanOf } from "./core-plan.ts";
import { type Fault, FaultDirector } from "./faults.ts";
import { memberFaults } from "./member-faults.ts";
import { networkFaults } from "./network-faults.ts";

export interface CoreOutcome {
  readonly violation: Error | undefined;
  readonly log: readonly string[];
  readonly events: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly leaders: number;
  readonly virtualMs: number;
  readonly traceHash: number;
}

/** Within this, after the last fault, everybody must have everything. */
const LIVENESS_MS = 60_000;

const ELECTION_FAULTS = ["crash new leaders", "bad link"];

/** One life of a cluster of bare cores, decided by the seed. To be called outside of microtasks. */
export function runCoreSeed(
  seed: number,
  options: { readonly wrap?: (core: RaftCore) => RaftCore } = {},
): CoreOutcome {
  const plan = corePlanOf(seed);
  const cluster = new CoreCluster({ seed, plan, wrap: options.wrap });
  let violation: Error | undefined;
  try {
    live(cluster, plan);
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  }
  return {
    violation,
    log: cluster.log.lines(),
    events: cluster.timeline.eventCount,
    acknowledged: cluster.acknowledged,
    reads: cluster.readsServed,
    leaders: cluster.laws.leaderCount,
    virtualMs: cluster.timeline.nowMs,
    traceHash: cluster.timeline.traceHash,
  };
}

function live(cluster: CoreCluster, plan: CorePlan): void {
  const { timeline } = cluster;
  const { chance } = plan;
  const director = new FaultDirector({
    process: cluster.outside,
    chance: chance.fork(),
    faults: chosenFaults(cluster, plan),
    intensity: plan,
    log: cluster.log,
  });
  director.start();
  const clients = chance.fork();
  let isOver = false;
  const call = () => {
    if (isOver) return;
    const id = clients.pick(cluster.ids());
    if (clients.hits(0.3)) cluster.read(id);
    else cluster.propose(id);
    cluster.outside.after(clients.longTail(1000 / plan.callRate), call);
  };
  call();
  timeline.run({ untilMs: plan.virtualMs, isOver: () => false });
  isOver = true;
  director.stop();
  const endMs = timeline.nowMs + LIVENESS_MS;
  const nudge = () => {
    cluster.propose(cluster.leader() ?? 0n);
    cluster.outside.after(1000, nudge);
  };
  nudge();
  const before = cluster.acknowledged;
  timeline.run({ untilMs: endMs, isOver: () => cluster.acknowledged > before + 3 && isEven(cluster) });
  if (timeline.nowMs >= endMs) throw new Violation("liveness", describe(cluster));
}

/** Of everything that can happen, a part: what is rare together with all the rest is common in some seed. */
function chosenFaults(cluster: CoreCluster, { chance, theme }: CorePlan): readonly Fault[] {
  const mortals = {
    ids: () => cluster.ids(),
    leader: () => cluster.leader(),
    processOf: (id: bigint) => cluster.places.get(id)?.member?.process,
    crash: (id: bigint) => cluster.crash(id),
    start: (id: bigint) => cluster.start(id),
    onLeader: (listener: (id: bigint) => void) => cluster.laws.onLeader(listener),
    after: (ms: number, run: () => void) => cluster.outside.after(ms, run),
  };
  const all = [
    ...networkFaults(cluster.network, mortals, chance.fork()),
    ...memberFaults(mortals, chance.fork()),
    ...coreMembership(cluster, chance.fork()),
  ];
  if (theme === "elections") return all.filter(({ name }) => ELECTION_FAULTS.includes(name));
  const chosen = all.filter(() => chance.hits(0.5));
  return chosen.length === 0 ? all : chosen;
}

/** Everybody who belongs to the cluster has applied the same, to the end. */
function isEven(cluster: CoreCluster): boolean {
  const confState = cluster.confState();
  const belonging = cluster.members.filter(
    ({ id }) => confState?.voters.includes(id) || confState?.learners.includes(id),
  );
  const [first] = belonging;
  return (
    first !== undefined &&
    confState?.votersOutgoing.length === 0 &&
    belonging.every((member) => member.appliedIndex >= cluster.laws.committedIndex) &&
    belonging.every(
      ({ values }) => values.length === first.values.length && values.at(-1) === first.values.at(-1),
    )
  );
}

function describe(cluster: CoreCluster): string {
  const members = cluster.members.map(({ id, core, process, appliedIndex, confState }) => {
    const { role, term, commit, lastIndex, leader } = core.status;
    const conf = `voters ${confState.voters.join(",")}|${confState.votersOutgoing.join(",")} learners ${confState.learners.join(",")}`;
    return `${id} ${process.fate} ${role} of ${leader} t${term} last ${lastIndex} commit ${commit} applied ${appliedIndex} ${conf}`;
  });
  return `no commit on every member ${LIVENESS_MS / 1000} s after the last fault: ${members.join("; ")}`;
}
