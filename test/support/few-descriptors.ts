import { writeFileSync } from "node:fs";
import { SourceBed } from "./source-bed.ts";

/**
 * For a process that may open fewer files than there are: ships them all, and prints what arrived, how many files are held
 * at the end, and what was complained of.
 */
const FILES = 100;
const STEPS_MAX = 400;

await using bed = await SourceBed.open();
const running = bed.start({ path: bed.path("*.log") });
for (let i = 0; i < FILES; i += 1) writeFileSync(bed.path(`f${i}.log`), `line ${i}\n`);
for (let step = 0; step < STEPS_MAX && bed.sink.arrived.length < FILES; step += 1)
  await bed.step(running, 250);
const problems = bed.logged.flatMap(({ problem }) => (typeof problem === "string" ? [problem] : []));
console.log(JSON.stringify({ shipped: bed.sink.lines(), open: running.source.openFiles, problems }));
await bed.stop(running);
