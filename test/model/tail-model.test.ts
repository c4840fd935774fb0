import { suite, test } from "node:test";
import { runSequence } from "./tail-sequence.ts";

/** `SEQUENCES=n` and `SEED=s` run others; `SEED=s SEQUENCES=1` replays one. */
const sequences = Number(process.env.SEQUENCES ?? 150);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));

suite("the tail path against a model of every byte that ever was in the files", () => {
  test(`ships each line, in order, through ${sequences} random sequences from seed ${firstSeed}`, async (t) => {
    let lines = 0;
    for (let i = 0; i < sequences; i++) lines += (await runSequence(firstSeed + i)).lines;
    t.diagnostic(`${sequences} sequences from seed ${firstSeed}: ${lines} lines arrived`);
  });
});
