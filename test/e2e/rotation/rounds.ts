import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { seededRandom } from "../../../base/random.ts";
import { MODE_NAMES, type ModeName } from "./modes.ts";
import { RotationBed } from "./rotation-bed.ts";
import { playRound, type RoundResult } from "./round.ts";

/**
 * Rounds of rotation, in one mode after another (or the one that is named), with the seeds that follow:
 *
 *     node test/e2e/rotation/rounds.ts --rounds 200 --state FILE [--mode "create, olddir"] [--seed 17] [--megabytes 5]
 *
 * FILE keeps the totals after each round, and a later run goes on from there; FILE.seed-N is what a round left that broke a
 * promise. Ends with 1 when a round broke a promise.
 */
interface State {
  rounds: number;
  nextSeed: number;
  megabytesPerSecond: number;
  byMode: Partial<Record<ModeName, number>>;
  totals: Record<string, number>;
  catchUpMs: number[];
  roundMs: number[];
  failed: { seed: number; mode: string; violations: number; examples: readonly string[] }[];
}

/** Rounds that share a broker: its folder does not grow for ever. */
const BATCH = 20;
const EXAMPLES_MAX = 5;
/** What a round is to take at most, on a machine that has the CPU for it. */
const ROUND_MS = 15_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    state: { type: "string" },
    mode: { type: "string" },
    seed: { type: "string" },
    megabytes: { type: "string" },
    /** Of wall time, after which no round begins. */
    minutes: { type: "string", default: "1e9" },
  },
});
if (values.mode !== undefined && !MODE_NAMES.some((name) => name === values.mode))
  throw new Error(`No mode is called "${values.mode}": ${MODE_NAMES.join("; ")}`);
const state = load(values.state);
if (values.seed !== undefined) state.nextSeed = Number(values.seed);
if (values.megabytes !== undefined) state.megabytesPerSecond = Number(values.megabytes);
const endMs = performance.now() + Number(values.minutes) * 60_000;
const isMore = () => state.rounds < Number(values.rounds) && performance.now() < endMs;
while (isMore()) await playBatch();
report();
if (state.failed.length > 0) process.exitCode = 1;

async function playBatch(): Promise<void> {
  await using bed = await RotationBed.start();
  for (let round = 0; round < BATCH && isMore(); round += 1) {
    const seed = state.nextSeed;
    const mode = (values.mode ?? MODE_NAMES[seed % MODE_NAMES.length]) as ModeName;
    const bytesPerSecond = state.megabytesPerSecond * 1e6;
    const keepIn = values.state === undefined ? {} : { keepIn: `${values.state}.seed-${seed}` };
    const result = await playRound({ bed, mode, random: seededRandom(seed), bytesPerSecond, ...keepIn });
    add(seed, mode, result);
    if (values.state !== undefined) writeFileSync(values.state, `${JSON.stringify(state, undefined, 1)}\n`);
    const { violations, ...figures } = result;
    console.log(`seed ${seed}, ${mode}: ${JSON.stringify(figures)}, ${violations.length} violations`);
    for (const text of violations.slice(0, EXAMPLES_MAX)) console.log(`  VIOLATION ${text}`);
  }
}

function add(seed: number, mode: ModeName, result: RoundResult): void {
  const { violations, catchUpMs, roundMs, ...figures } = result;
  state.rounds += 1;
  state.nextSeed = seed + 1;
  state.byMode[mode] = (state.byMode[mode] ?? 0) + 1;
  state.catchUpMs.push(Math.round(catchUpMs));
  state.roundMs.push(Math.round(roundMs));
  for (const [name, value] of Object.entries(figures)) state.totals[name] = (state.totals[name] ?? 0) + value;
  if (violations.length === 0) return;
  const examples = violations.slice(0, EXAMPLES_MAX);
  state.failed.push({ seed, mode, violations: violations.length, examples });
}

function report(): void {
  const { rounds, byMode, totals, catchUpMs, roundMs, failed } = state;
  console.log(
    `${rounds} rounds (${JSON.stringify(byMode)}): ${JSON.stringify(totals)}; caught up after ${part(catchUpMs, 0.5)} ms ` +
      `(median), ${part(catchUpMs, 1)} ms (most); a round took ${part(roundMs, 0.5)} ms (median), ${part(roundMs, 1)} ms ` +
      `(most), ${roundMs.filter((ms) => ms > ROUND_MS).length} of them more than ${ROUND_MS} ms; ${failed.length} broke a promise`,
  );
  for (const { seed, mode, violations, examples } of failed)
    console.log(`  seed ${seed}, ${mode}: ${violations}, such as ${examples[0]}`);
}

function part(numbers: readonly number[], share: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * share) - 1] ?? 0;
}

function load(file: string | undefined): State {
  if (file !== undefined && existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as State;
  return {
    rounds: 0,
    nextSeed: 1,
    megabytesPerSecond: 5,
    byMode: {},
    totals: {},
    catchUpMs: [],
    roundMs: [],
    failed: [],
  };
}
