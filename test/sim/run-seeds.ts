import { parseArgs } from "node:util";
import { pino } from "pino";
import { outsideOfMicrotasks } from "./drain.ts";
import { report } from "./report.ts";
import { runSeed } from "./run-seed.ts";
import { addTo, readTally, summary, writeTally } from "./tally.ts";

/**
 * Lives through seeds, one after another, and keeps the running total in a file, where the next run goes on.
 *
 *   npm run sim -- --seeds 100000      until the total is 100,000 seeds
 *   SIM_SEED=17 npm run sim            the one seed, with its last messages; --log debug: and its members' logs
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    /** Of wall time, after which it stops; 0: no limit. */
    minutes: { type: "string", default: "0" },
    total: { type: "string", default: ".cache/sim/total.json" },
    log: { type: "string" },
  },
});

/** Seeds between two notes of the total. */
const NOTE_EVERY = 50;

const { SIM_SEED } = process.env;
process.exitCode = await (SIM_SEED === undefined ? runMany() : runOne(Number(SIM_SEED)));

async function runOne(seed: number): Promise<number> {
  const { log: level } = values;
  const outcome = await outsideOfMicrotasks(() =>
    runSeed(seed, {
      ...(level !== undefined && {
        logger: (name, timeline) =>
          pino(
            { level, base: { member: name }, timestamp: () => `,"s":${(timeline.nowMs / 1000).toFixed(4)}` },
            pino.destination({ fd: 1, sync: true }),
          ),
      }),
    }),
  );
  const { violation, log, ...figures } = outcome;
  console.log(violation === undefined ? "no violation" : report(outcome));
  console.log(JSON.stringify(figures));
  return violation === undefined ? 0 : 1;
}

async function runMany(): Promise<number> {
  const wanted = Number(values.seeds);
  const endMs =
    values.minutes === "0" ? Number.POSITIVE_INFINITY : Date.now() + Number(values.minutes) * 60_000;
  let tally = readTally(values.total);
  let failures = 0;
  console.log(`${tally.seeds} seeds so far, going on with seed ${tally.nextSeed}, to ${wanted}`);
  while (tally.seeds < wanted && Date.now() < endMs) {
    for (let i = 0; i < NOTE_EVERY && tally.seeds < wanted; i += 1) {
      const before = process.cpuUsage();
      const outcome = await outsideOfMicrotasks(() => runSeed(tally.nextSeed));
      const { user, system } = process.cpuUsage(before);
      tally = addTo(tally, outcome, (user + system) / 1e6);
      if (outcome.violation === undefined) continue;
      failures += 1;
      console.log(report(outcome));
    }
    writeTally(values.total, tally);
    console.log(summary(tally));
  }
  return failures === 0 ? 0 : 1;
}
