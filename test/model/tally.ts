import { perCpuSecond, readTotal, writeTotal } from "../support/running-total.ts";
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
  return readTotal(path, NOTHING);
}

export function writeTally(path: string, tally: Tally): void {
  writeTotal(path, { ...tally, sequencesPerCpuSecond: sequencesPerSecond(tally) });
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
  return perCpuSecond(sequences, cpuSeconds);
}
