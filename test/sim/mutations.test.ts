import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { outcomeOf, type Patch, type PatchedOutcome } from "../support/patched-source.ts";
import { Violation } from "../support/violation.ts";
import { outsideOfMicrotasks } from "./drain.ts";
import { MUTATIONS } from "./mutations.ts";
import type { PatchedRun } from "./patched-worker.ts";
import { type Plan, planOf } from "./plan.ts";
import { runSeed } from "./run-seed.ts";
import type { Mutation } from "./watchers.ts";

/** A bug that is not found in so many lives would not be found by any run that somebody waits for. */
const SEEDS_MAX = 1000;

/** What comes of half an entry. */
const HALVES = /^(equal state|watch atomic|watch complete|linearizable|history|no reason to end)$/;

suite("the simulator finds", () => {
  test("a vote that is not persisted", async () => {
    const laws = [
      "one leader by term",
      "log matching",
      "state machine safety",
      "equal state",
      "watch atomic",
    ];
    await assertFound(MUTATIONS.voteNotPersisted, laws, ({ theme }) => theme === "elections");
  });

  test("a commit of an earlier term's entry by counting replicas (Raft §5.4.2)", async () => {
    const patch = {
      file: "store/raft/leader.ts",
      find: "if (index <= before || log.term(index) !== node.term) return false;",
      replace: "if (index <= before) return false;",
    };
    const { law } = await firstFound(patch, { onlyElections: true });
    assert.match(law, /leader completeness|state machine safety/);
  });

  test("a read that is served without a quorum", () =>
    assertFound(
      MUTATIONS.readWithoutQuorum,
      ["linearizable"],
      ({ load, members, theme }) => theme === "any" && load.writeRate === 0.6 && members === 3,
    ));

  test("an event that is sent twice", () => assertFound(MUTATIONS.eventSentTwice, ["watch once"]));

  test("a WAL that is cut above the flushed index", () =>
    assertFound(MUTATIONS.walCutTooFar, ["no reason to end"]));

  test("a flush in the middle of an entry", async () => {
    const patch = {
      file: "store/apply/state-flusher.ts",
      find: "while (!this.#boundary.isBetweenEntries) await this.#boundary.next();",
      replace: "",
    };
    const { law } = await firstFound(patch, { onlyElections: false });
    assert.match(law, HALVES);
  });

  test("an applied index that is durable with half of its entry", async () => {
    const patch = {
      file: "store/apply/state-machine.ts",
      find: `const applied = yield* this.#applyNext(entry, configure);
      this.#applied.advance(entry.index, entry.term);
      this.#boundary.leave();`,
      replace: `this.#applied.advance(entry.index, entry.term);
      this.#boundary.leave();
      const applied = yield* this.#applyNext(entry, configure);`,
    };
    const { law } = await firstFound(patch, { onlyElections: false });
    assert.match(law, HALVES);
  });
});

async function assertFound(
  mutation: Mutation,
  laws: readonly string[],
  isOfUse: (plan: Plan) => boolean = () => true,
): Promise<void> {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    if (!isOfUse(planOf(seed))) continue;
    const { violation } = await outsideOfMicrotasks(() => runSeed(seed, { mutation }));
    if (violation === undefined) continue;
    assert.ok(violation instanceof Violation && laws.includes(violation.law), `seed ${seed}: ${violation}`);
    return;
  }
  assert.fail(`${SEEDS_MAX} seeds found nothing`);
}

/** In a thread of its own, whose sources have the bug. */
async function firstFound(
  patch: Patch,
  { onlyElections }: { readonly onlyElections: boolean },
): Promise<PatchedOutcome> {
  const run: PatchedRun = { onlyElections, patch, toSeed: SEEDS_MAX };
  const outcome = await outcomeOf(new URL("./patched-worker.ts", import.meta.url), run);
  assert.notEqual(outcome.seed, undefined, `${SEEDS_MAX} seeds found nothing`);
  return outcome;
}
