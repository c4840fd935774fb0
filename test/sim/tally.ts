import { perCpuSecond, readTotal, writeTotal } from "../support/running-total.ts";
import { type CpuTimes, NO_TIMES, percentileMs, withTime } from "./cpu-times.ts";
import type { Outcome } from "./run-seed.ts";

/** What was lived through so far, over all runs of the script. */
export interface Tally {
  /** The next one to be run; seeds are run in order, from 1. */
  readonly nextSeed: number;
  readonly seeds: number;
  readonly virtualHours: number;
  readonly cpuSeconds: number;
  /** Of each seed since they are counted. */
  readonly cpuTimes: CpuTimes;
  readonly acknowledgedWrites: number;
  readonly leaders: number;
  /** Seeds that found something. */
  readonly failed: readonly number[];
}

const NOTHING: Tally = {
  nextSeed: 1,
  seeds: 0,
  virtualHours: 0,
  cpuSeconds: 0,
  cpuTimes: NO_TIMES,
  acknowledgedWrites: 0,
  leaders: 0,
  failed: [],
};

export function readTally(path: string): Tally {
  return readTotal(path, NOTHING);
}

export function writeTally(path: string, tally: Tally): void {
  writeTotal(path, { ...tally, seedsPerCpuSecond: seedsPerSecond(tally) });
}

export function addTo(tally: Tally, outcome: Outcome, cpuSeconds: number): Tally {
  return {
    nextSeed: Math.max(tally.nextSeed, outcome.seed + 1),
    seeds: tally.seeds + 1,
    virtualHours: tally.virtualHours + outcome.virtualMs / 3_600_000,
    cpuSeconds: tally.cpuSeconds + cpuSeconds,
    cpuTimes: withTime(tally.cpuTimes, outcome.seed, cpuSeconds * 1000),
    acknowledgedWrites: tally.acknowledgedWrites + outcome.acknowledged,
    leaders: tally.leaders + outcome.leaders,
    failed: outcome.violation === undefined ? tally.failed : [...tally.failed, outcome.seed],
  };
}

export function seedsPerSecond({ seeds, cpuSeconds }: Tally): number {
  return perCpuSecond(seeds, cpuSeconds);
}

/** One line: how much, how fast, and whether anything was found. */
export function summary(tally: Tally): string {
  const { seeds, virtualHours, failed, cpuSeconds, cpuTimes } = tally;
  const meanMs = Math.round((cpuSeconds * 1000) / Math.max(seeds, 1));
  const { slowest } = cpuTimes;
  return [
    `${seeds} seeds`,
    `${virtualHours.toFixed(1)} virtual hours`,
    `${seedsPerSecond(tally)} seeds a CPU second`,
    `CPU ms a seed: mean ${meanMs}, p99 ${percentileMs(cpuTimes, 0.99)}, max ${slowest.ms} (seed ${slowest.seed})`,
    `${failed.length} failed`,
  ].join("; ");
}
