import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
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

/** What a way to rotate calls the generations of `app.log`, the youngest first, in the folder of `app.log`. */
export type Names = (generation: number) => string;

/** As many as the longest chain of a case. */
const GENERATIONS_MAX = 100;

export type Packing = "gz" | "zst";

/** One rotation: each generation moves on by one, however it is compressed. */
export function rotateTo(bed: SourceBed, names: Names): void {
  mkdirSync(dirname(bed.path(names(1))), { recursive: true });
  for (let generation = GENERATIONS_MAX; generation >= 1; generation -= 1) {
    for (const pack of ["", ".gz", ".zst"]) {
      const from = bed.path(names(generation)) + pack;
      if (existsSync(from)) renameSync(from, bed.path(names(generation + 1)) + pack);
    }
  }
  renameSync(bed.path("app.log"), bed.path(names(1)));
}

/** What gzip and zstd do: the compressed file has the times of the other, and takes its place. */
export function compress(path: string, pack: Packing): void {
  const { atime, mtime } = statSync(path);
  const content = readFileSync(path);
  writeFileSync(`${path}.${pack}`, pack === "gz" ? gzipSync(content) : zstdCompressSync(content));
  utimesSync(`${path}.${pack}`, atime, mtime);
  unlinkSync(path);
}

/** Writes ten lines, rotates, and begins the next file; so many times. */
export async function rotateAgain(
  bed: SourceBed,
  names: Names,
  times: number,
  from: number,
  pack?: Packing,
): Promise<void> {
  for (let turn = 0; turn < times; turn += 1) {
    appendFileSync(bed.path("app.log"), text(numbered("app", from + 10 * turn, 10)));
    await kernelTick();
    rotateTo(bed, names);
    writeFileSync(bed.path("app.log"), "");
    await kernelTick();
    if (pack !== undefined) compress(bed.path(names(1)), pack);
  }
  appendFileSync(bed.path("app.log"), text(numbered("app", from + 10 * times, 10)));
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
