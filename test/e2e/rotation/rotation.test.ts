import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../base/random.ts";
import type { ModeName } from "./modes.ts";
import { RotationBed } from "./rotation-bed.ts";
import { playRound } from "./round.ts";

/** `rounds.ts` plays hundreds, in every mode; here is one of each that differs most. */
const ROUNDS: readonly ModeName[] = ["create", "create, compress", "copytruncate"];
const BYTES_PER_SECOND = 5_000_000;

test("what logrotate rotates arrives once and in order, or is said to be lost, while the agent is killed and the broker stopped", async (t) => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  await using bed = await RotationBed.start();
  for (const mode of ROUNDS) {
    const { violations, ...figures } = await playRound({
      bed,
      mode,
      random,
      bytesPerSecond: BYTES_PER_SECOND,
    });
    t.diagnostic(`${mode}: ${JSON.stringify(figures)}`);
    assert.deepEqual(violations, []);
    assert.ok(
      figures.lines > 1_000 && figures.rotations > 0 && figures.lives > 2,
      "there was work and trouble",
    );
  }
});
