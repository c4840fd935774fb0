import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../../base/random.ts";
import type { AgentWitness } from "./agent-witness.ts";
import type { ClusterBed } from "./cluster-bed.ts";
import { DEPOSING, FAULTS, type Fault, type FaultName } from "./faults.ts";
import type { Witnesses } from "./witnesses.ts";

const RECOVERY_TIMEOUT_MS = 15_000;
const CALM_MS = { least: 150, most: 600 };

export interface RoundTimes {
  /** From the fault until a write that began after it was acknowledged. */
  readonly recoveredMs: number;
  /** From the acknowledged put of a config during the fault until the agent's tasks were that. */
  readonly configMs: number;
}

/** One fault under load, mended, and everything judged. */
export async function playRound(options: {
  readonly bed: ClusterBed;
  readonly witnesses: Witnesses;
  readonly agent: AgentWitness;
  readonly fault: FaultName;
  readonly name: string;
  readonly random: Random;
}): Promise<RoundTimes> {
  const { bed, witnesses, agent, name, random } = options;
  const fault: Fault = FAULTS[options.fault];
  await sleep(CALM_MS.least + random.next() * (CALM_MS.most - CALM_MS.least));
  if (random.next() < 0.5) witnesses.changeStream();
  const leader = await bed.cluster.waitForLeader();
  const termBefore = await termOf(bed);
  const [a, b] = bed.cluster.members.filter((member) => member !== leader);
  if (a === undefined || b === undefined) throw new Error("A round needs three members");
  const scene = { bed, leader, followers: random.next() < 0.5 ? ([a, b] as const) : ([b, a] as const) };
  await fault.begin(scene);
  // An agent at a member that hangs may learn of the change only once that goes on.
  const config = agent.changeConfig();
  const [recoveredMs] = await Promise.all([
    witnesses.timeToRecover(name, RECOVERY_TIMEOUT_MS),
    sleep(fault.lastsMs),
  ]);
  await fault.end(scene);
  const configMs = await config;
  await bed.cluster.waitForLeader();
  const term = await termOf(bed);
  if (DEPOSING.has(options.fault) && term <= termBefore) {
    throw new Error(`There was no election during "${options.fault}": the term is ${term}, as before`);
  }
  await witnesses.judge();
  return { recoveredMs, configMs };
}

/** The highest that any member tells. */
async function termOf({ cluster }: ClusterBed): Promise<number> {
  const statuses = await Promise.all(cluster.members.map((member) => member.status()));
  return Math.max(0, ...statuses.map((status) => status?.raftTerm ?? 0));
}
