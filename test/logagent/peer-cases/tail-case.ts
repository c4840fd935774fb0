import { copyFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type BedOptions, type Running, SourceBed } from "../../support/source-bed.ts";

/** The kernel's clock, by which files are born, goes on by no more than this at a time. */
const KERNEL_TICK_MS = 25;

/** Real files, the real source; the agent's wall clock agrees with the one by which files are born. */
export async function openCase(options?: BedOptions): Promise<SourceBed> {
  const bed = await SourceBed.open(options);
  bed.clock.wallMs = Date.now;
  return bed;
}

/** Files that are made after it are younger than those before, also by the kernel's clock. */
export async function kernelTick(): Promise<void> {
  await sleep(KERNEL_TICK_MS);
}

/** Longer than a moved file has to be quiet before its successor has its turn. */
export const SETTLED_MS = 5_000;

/** What is in a file of so many lines, each of which says where it is from. */
export function numbered(name: string, from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name} line ${from + i}`);
}

export function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** logrotate's `create`: the oldest is deleted, each generation moves on by one, an empty file takes the place. */
export function rotate(bed: SourceBed, name: string, generations: number): void {
  for (let i = generations; i > 0; i--) {
    const older = bed.path(i === 1 ? name : `${name}.${i - 1}`);
    try {
      renameSync(older, bed.path(`${name}.${i}`));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  writeFileSync(bed.path(name), "");
}

/** logrotate's `copytruncate`. */
export function copyTruncate(path: string, copy: string): void {
  copyFileSync(path, copy);
  truncateSync(path, 0);
}

/** The agent stops, something happens, the agent starts again on the checkpoints that are on disk. */
export async function whileDown(
  bed: SourceBed,
  running: Running,
  happens?: () => void | Promise<void>,
): Promise<Running> {
  await bed.stop(running);
  await bed.checkpoints.close();
  await happens?.();
  bed.sink.forget();
  await bed.openCheckpoints();
  return bed.start(running.context.entry);
}

/** Lines in the order of arrival, those of one path. */
export function linesAt(bed: SourceBed, name: string): string[] {
  return bed.sink.arrived
    .filter((line) => line.path === bed.path(name))
    .map((line) => line.value.toString("latin1"));
}

interface Loss {
  readonly from: number;
  readonly to: number | "unknown";
  readonly reason: string;
}

/** Every loss record in the log so far, as `[from, to, reason]`. */
export function losses(bed: SourceBed): [number, number | "unknown", string][] {
  return bed.logged
    .flatMap((line) => (line.loss as Loss | undefined) ?? [])
    .map(({ from, to, reason }) => [from, to, reason]);
}
