import { parseArgs } from "node:util";
import { planOf } from "./plan.ts";
import { report } from "./report.ts";
import { runPlan } from "./run-plan.ts";
import { shrink } from "./shrink.ts";
import { addTo, readTally, sequencesPerSecond, writeTally } from "./tally.ts";

/**
 * Lives through random sequences, one after another, and keeps the running total in a file, where the next run goes on.
 *
 *   npm run model -- --sequences 100000     until the total is 100,000 sequences
 *   MODEL_SEED=17 npm run model             the one sequence, shrunk to what breaks the law; --whole: as it is
 */
const { values } = parseArgs({
  options: {
    sequences: { type: "string", default: "2000" },
    /** Of wall time, after which it stops; 0: no limit. */
    minutes: { type: "string", default: "0" },
    total: { type: "string", default: ".cache/model/total.json" },
    whole: { type: "boolean", default: false },
    /** Stop at so many that found something. */
    failures: { type: "string", default: "10" },
  },
});

/** Sequences between two notes of the total. */
const NOTE_EVERY = 100;

const { MODEL_SEED } = process.env;
process.exitCode = await (MODEL_SEED === undefined ? runMany() : runOne(Number(MODEL_SEED)));

async function runOne(seed: number): Promise<number> {
  const outcome = await runPlan(planOf(seed));
  if (outcome.violation === undefined) {
    console.log(values.whole ? outcome.history.join("\n") : "no violation");
    return 0;
  }
  console.log(report(values.whole ? outcome : await shrink(outcome)));
  return 1;
}

async function runMany(): Promise<number> {
  const wanted = Number(values.sequences);
  const endMs =
    values.minutes === "0" ? Number.POSITIVE_INFINITY : Date.now() + Number(values.minutes) * 60_000;
  let tally = readTally(values.total);
  let failures = 0;
  console.log(`${tally.sequences} sequences so far, going on with seed ${tally.nextSeed}, to ${wanted}`);
  while (tally.sequences < wanted && Date.now() < endMs && failures < Number(values.failures)) {
    for (let i = 0; i < NOTE_EVERY && tally.sequences < wanted; i += 1) {
      const before = process.cpuUsage();
      const outcome = await runPlan(planOf(tally.nextSeed));
      const { user, system } = process.cpuUsage(before);
      tally = addTo(tally, outcome, (user + system) / 1e6);
      if (outcome.violation === undefined) continue;
      failures += 1;
      console.log(report(await shrink(outcome)));
      if (failures >= Number(values.failures)) break;
    }
    writeTally(values.total, tally);
    const { sequences, deliveries, losses, failed } = tally;
    console.log(
      `${sequences} sequences, ${deliveries} deliveries, ${losses} losses said, ${sequencesPerSecond(tally)} sequences a CPU second, ${failed.length} failed`,
    );
  }
  return failures === 0 ? 0 : 1;
}
