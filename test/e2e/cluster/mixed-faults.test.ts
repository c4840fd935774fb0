import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import { AgentWitness } from "./agent-witness.ts";
import { ClusterBed } from "./cluster-bed.ts";
import type { FaultName } from "./faults.ts";
import { playRound } from "./round.ts";
import { Witnesses } from "./witnesses.ts";

/** `rounds.ts` plays hundreds of each; here is one of each kind. */
const ROUNDS: readonly FaultName[] = [
  "leader killed",
  "follower killed",
  "leader paused",
  "leader cut from both",
  "leader is not heard",
  "leader does not hear",
  "leader's disk full",
  "follower's disk full",
  "leader's disk slow",
];

test("three members under load keep every promise while one after another is killed, paused, cut off, full or slow", async (t) => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  await using bed = await ClusterBed.start();
  await using witnesses = await Witnesses.start(bed.endpoints, random);
  const { history } = witnesses;
  await using agent = await AgentWitness.start(bed.endpoints, (law, text) => history.violate(law, text));
  bed.onUnexpectedEnd((text) => history.violate("alive", text));
  for (const fault of ROUNDS) {
    const { recoveredMs } = await playRound({ bed, witnesses, agent, fault, name: fault, random });
    t.diagnostic(`${fault}: writes again after ${Math.round(recoveredMs)} ms`);
    assert.deepEqual(history.violations, []);
  }
  await agent.stop();
  await witnesses.stop();
  const { writes, reads, unknown } = history.counts;
  t.diagnostic(`${writes} writes acknowledged, ${unknown} of unknown outcome, ${reads} reads`);
  assert.deepEqual(history.violations, []);
  assert.ok(writes > 200 && reads > 100, "the clients were at work");
});
