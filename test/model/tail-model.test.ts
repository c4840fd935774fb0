import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { planOf } from "./plan.ts";
import { report } from "./report.ts";
import { runPlan } from "./run-plan.ts";
import { shrink } from "./shrink.ts";

const SEQUENCES = 2000;
/** A test has its time, on a machine that has much else to do. */
const SEQUENCES_A_TEST = 200;
/** `MODEL_SEED=s` begins there. Without it every run is the same; `npm run model` goes where no run has been. */
const firstSeed = Number(process.env.MODEL_SEED ?? 1);

suite(`the tail path against a model of every byte that ever was in a file, from seed ${firstSeed}`, () => {
  for (let done = 0; done < SEQUENCES; done += SEQUENCES_A_TEST) {
    test(`keeps what it says in the sequences ${done + 1} to ${done + SEQUENCES_A_TEST}`, async (t) => {
      const total = { contents: 0, deliveries: 0, losses: 0 };
      for (let i = done; i < done + SEQUENCES_A_TEST; i += 1) {
        const outcome = await runPlan(planOf(firstSeed + i));
        if (outcome.violation !== undefined) assert.fail(report(await shrink(outcome)));
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += outcome[key];
      }
      t.diagnostic(JSON.stringify(total));
      // Worth something only if something happened.
      const least = { contents: 3, deliveries: 2, losses: 0.2 };
      for (const key of Object.keys(total) as (keyof typeof total)[]) {
        assert.ok(total[key] > least[key] * SEQUENCES_A_TEST, JSON.stringify(total));
      }
    });
  }

  test("lives the same sequence again from the same seed", async () => {
    for (const seed of [3, 7, 11]) {
      const [one, again] = [await runPlan(planOf(seed)), await runPlan(planOf(seed))];
      assert.deepEqual(again, one, `seed ${seed}`);
    }
  });
});
