import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { seededRandom } from "../../../base/random.ts";
import { AgentWitness } from "./agent-witness.ts";
import { ClusterBed } from "./cluster-bed.ts";
import { FAULTS, type FaultName } from "./faults.ts";
import { playRound } from "./round.ts";
import { Witnesses } from "./witnesses.ts";

/**
 * Rounds of one fault (the leader's SIGKILL, if no other is named) against three processes under load:
 *
 *     node test/e2e/cluster/rounds.ts --rounds 200 --state FILE [--fault "leader paused"]
 *
 * FILE keeps the totals after each batch, and a later run goes on from there. Each batch has a new cluster.
 */
interface State {
  fault: FaultName;
  rounds: number;
  recoveredMs: number[];
  configMs: number[];
  writes: number;
  reads: number;
  unknown: number;
  violations: number;
  examples: string[];
}

const BATCH = 20;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    state: { type: "string" },
    fault: { type: "string", default: "leader killed" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
  },
});
if (!(values.fault in FAULTS))
  throw new Error(`No fault is called "${values.fault}": ${Object.keys(FAULTS).join(", ")}`);
const state = load(values.state, values.fault as FaultName);
const random = seededRandom(Number(values.seed));
console.log(`seed ${values.seed}`);
while (state.rounds < Number(values.rounds))
  await playBatch(Math.min(BATCH, Number(values.rounds) - state.rounds));
report();
if (state.violations > 0) process.exitCode = 1;

async function playBatch(rounds: number): Promise<void> {
  await using bed = await ClusterBed.start();
  await using witnesses = await Witnesses.start(bed.endpoints, random);
  const { history } = witnesses;
  await using agent = await AgentWitness.start(bed.endpoints, (law, text) => history.violate(law, text));
  bed.onUnexpectedEnd((text) => history.violate("alive", text));
  const before = { ...state };
  for (let round = 0; round < rounds; round += 1) {
    const name = `round${state.rounds + 1}`;
    const times = await playRound({ bed, witnesses, agent, fault: state.fault, name, random });
    state.recoveredMs.push(Math.round(times.recoveredMs));
    state.configMs.push(Math.round(times.configMs));
    state.rounds += 1;
    add();
    report();
  }
  await agent.stop();
  await witnesses.stop();
  add();
  save(values.state);

  function add(): void {
    const { writes, reads, unknown, violations } = history.counts;
    state.writes = before.writes + writes;
    state.reads = before.reads + reads;
    state.unknown = before.unknown + unknown;
    state.violations = before.violations + violations;
    state.examples = [...before.examples, ...history.violations.map(({ law, text }) => `${law}: ${text}`)];
  }
}

function report(): void {
  const { recoveredMs, configMs } = state;
  console.log(
    `${state.rounds} rounds of "${state.fault}": writes again after ${part(recoveredMs, 0.5)} ms (median), ` +
      `${part(recoveredMs, 0.95)} ms (95 %), ${part(recoveredMs, 1)} ms (most); an agent's config arrives after ` +
      `${part(configMs, 0.5)} ms (median), ${part(configMs, 1)} ms (most); ${state.writes} writes acknowledged, ` +
      `${state.unknown} of unknown outcome, ${state.reads} reads, ${state.violations} violations`,
  );
  for (const example of state.examples) console.log(`  VIOLATION ${example}`);
}

function part(numbers: readonly number[], share: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * share) - 1] ?? 0;
}

function load(file: string | undefined, fault: FaultName): State {
  const empty = {
    fault,
    rounds: 0,
    recoveredMs: [],
    configMs: [],
    writes: 0,
    reads: 0,
    unknown: 0,
    violations: 0,
    examples: [],
  };
  if (file === undefined || !existsSync(file)) return empty;
  const found = JSON.parse(readFileSync(file, "utf8")) as State;
  if (found.fault !== fault) throw new Error(`${file} is of rounds of "${found.fault}", not "${fault}"`);
  return found;
}

function save(file: string | undefined): void {
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(state)}\n`);
}
