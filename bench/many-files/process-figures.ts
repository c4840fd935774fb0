import { readFileSync } from "node:fs";

/** Of the kernel's clock ticks, which `/proc` counts in. */
const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;

/** Peak of the resident memory so far. */
export function peakRssMiB(pid: number): number {
  return statusKiB(pid, "VmHWM") / 1024;
}

export function rssMiB(pid: number): number {
  return statusKiB(pid, "VmRSS") / 1024;
}

/** CPU time so far, of all threads. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The sum of a metric's samples, by its text. */
export function metricOf(text: string, name: string): number {
  const samples = text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

export function inMiB(bytes: number): number {
  return Math.round(bytes / MIB);
}

function statusKiB(pid: number, field: string): number {
  const match = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? Number.NaN);
}
