import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "../../base/errors.ts";

/** What a script has run through so far, over all its runs; `nothing` when there was none, and for fields that are new. */
export function readTotal<Total extends object>(path: string, nothing: Total): Total {
  try {
    return { ...nothing, ...JSON.parse(readFileSync(path, "utf8")) };
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    return nothing;
  }
}

/** Its folder is made when absent. */
export function writeTotal(path: string, total: object): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(total, undefined, 2)}\n`);
}

export function perCpuSecond(count: number, cpuSeconds: number): number {
  return Number((count / Math.max(cpuSeconds, 0.001)).toFixed(2));
}
