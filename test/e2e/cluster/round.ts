import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../../base/random.ts";
import type { ClusterBed } from "./cluster-bed.ts";
import { FAULTS, type Fault, type FaultName } from "./faults.ts";
import type { Witnesses } from "./witnesses.ts";

const RECOVERY_TIMEOUT_MS = 15_000;
const CALM_MS = { least: 150, most: 600 };

/** One fault under load, mended, and everything judged. Resolves with the milliseconds from the fault to the first write. */
export async function playRound(options: {
  readonly bed: ClusterBed;
  readonly witnesses: Witnesses;
  readonly fault: FaultName;
  readonly name: string;
  readonly random: Random;
}): Promise<number> {
  const { bed, witnesses, name, random } = options;
  const fault: Fault = FAULTS[options.fault];
  await sleep(CALM_MS.least + random.next() * (CALM_MS.most - CALM_MS.least));
  if (random.next() < 0.5) witnesses.changeStream();
  const leader = await bed.cluster.waitForLeader();
  const [a, b] = bed.cluster.members.filter((member) => member !== leader);
  if (a === undefined || b === undefined) throw new Error("A round needs three members");
  const scene = { bed, leader, followers: random.next() < 0.5 ? ([a, b] as const) : ([b, a] as const) };
  await fault.begin(scene);
  const [recoveredMs] = await Promise.all([
    witnesses.timeToRecover(name, RECOVERY_TIMEOUT_MS),
    sleep(fault.lastsMs),
  ]);
  await fault.end(scene);
  await bed.cluster.waitForLeader();
  await witnesses.judge();
  return recoveredMs;
}
