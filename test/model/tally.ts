import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "../../base/errors.ts";
import type { Outcome } from "./run-plan.ts";

/** What was lived through so far, over all runs of the script. */
export interface Tally {
  /** The next one to be run; seeds are run in order, from 1. */
  readonly nextSeed: number;
  readonly sequences: number;
  readonly cpuSeconds: number;
  readonly contents: number;
  readonly deliveries: number;
  readonly losses: number;
  /** Seeds that found something. */
  readonly failed: readonly number[];
}

const NOTHING: Tally = {
  nextSeed: 1,
  sequences: 0,
  cpuSeconds: 0,
  contents: 0,
  deliveries: 0,
  losses: 0,
  failed: [],
};

export function readTally(path: string): Tally {
  try {
    return { ...NOTHING, ...JSON.parse(readFileSync(path, "utf8")) };
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    return NOTHING;
  }
}

export function writeTally(path: string, tally: Tally): void {
  mkdirSync(dirname(path), { recursive: true });
  const all = { ...tally, sequencesPerCpuSecond: sequencesPerSecond(tally) };
  writeFileSync(path, `${JSON.stringify(all, undefined, 2)}\n`);
}

export function addTo(tally: Tally, outcome: Outcome, cpuSeconds: number): Tally {
  const { seed } = outcome.plan;
  return {
    nextSeed: Math.max(tally.nextSeed, seed + 1),
    sequences: tally.sequences + 1,
    cpuSeconds: tally.cpuSeconds + cpuSeconds,
    contents: tally.contents + outcome.contents,
    deliveries: tally.deliveries + outcome.deliveries,
    losses: tally.losses + outcome.losses,
    failed: outcome.violation === undefined ? tally.failed : [...tally.failed, seed],
  };
}

export function sequencesPerSecond({ sequences, cpuSeconds }: Tally): number {
  return Number((sequences / Math.max(cpuSeconds, 0.001)).toFixed(2));
}
