import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import {
  BUSY_BYTES_PER_SECOND,
  fileName,
  folderNames,
  LINE_BYTES,
  line,
  type Rates,
  rateOf,
} from "./rates.ts";

/** What the thread is told. It says "created" when each file has its first line, is told to go on, and answers with the counts. */
export interface WriterTask {
  readonly folder: string;
  readonly files: number;
  readonly rates: Rates;
  readonly seconds: number;
}

const SLOT_MS = 50;
const SLOTS_PER_SECOND = 1000 / SLOT_MS;
const SLOTS_PER_MINUTE = 60 * SLOTS_PER_SECOND;

if (parentPort !== null) await writeAll(workerData as WriterTask, parentPort);

/** Lines written of each file. */
async function writeAll(task: WriterTask, port: NonNullable<typeof parentPort>): Promise<void> {
  const { folder, files, seconds } = task;
  const written = new Uint32Array(files);
  for (const name of folderNames(files)) mkdirSync(join(folder, name), { recursive: true });
  const append = (file: number, lines: number) => {
    let text = "";
    for (let i = 0; i < lines; i++) text += line(file, written[file]!++, Date.now());
    appendFileSync(join(folder, fileName(file)), text);
  };
  for (let file = 0; file < files; file++) append(file, 1);
  const told = new Promise((resolve) => port.once("message", resolve));
  port.postMessage("created");
  await told;
  const slots = slotsOf(task);
  const busyLines = BUSY_BYTES_PER_SECOND / SLOTS_PER_SECOND / LINE_BYTES;
  const startMs = performance.now();
  for (let slot = 0; slot < seconds * SLOTS_PER_SECOND; slot++) {
    const aheadMs = startMs + slot * SLOT_MS - performance.now();
    if (aheadMs > 0) await sleep(aheadMs);
    for (let file = 0; file < task.rates.busy; file++) {
      append(file, Math.floor((slot + 1) * busyLines) - Math.floor(slot * busyLines));
    }
    for (const file of slots[slot % SLOTS_PER_MINUTE] ?? []) append(file, 1);
  }
  port.postMessage(written);
}

/** Which files get a line when, within a minute; spread evenly. */
function slotsOf({ files, rates }: WriterTask): readonly number[][] {
  const slots: number[][] = Array.from({ length: SLOTS_PER_MINUTE }, () => []);
  for (let file = 0; file < files; file++) {
    const rate = rateOf(file, rates);
    const phase = (file * 7919) % SLOTS_PER_MINUTE;
    if (rate === "lineEachMinute") slots[phase]?.push(file);
    if (rate !== "lineEachSecond") continue;
    for (let slot = phase % SLOTS_PER_SECOND; slot < SLOTS_PER_MINUTE; slot += SLOTS_PER_SECOND)
      slots[slot]?.push(file);
  }
  return slots;
}
