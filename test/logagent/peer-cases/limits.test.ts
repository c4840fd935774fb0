import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { copyTruncate, losses, openCase, SETTLED_MS, whileDown } from "./tail-case.ts";

suite("what cannot be had any more is said", () => {
  test("lines written behind the last look, and truncated away", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n");
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    appendFileSync(bed.path("app.log"), "nobody saw it\n");
    copyTruncate(bed.path("app.log"), bed.path("copy.txt"));
    await bed.run(running, 1000);
    assert.deepEqual(losses(bed), [[2, "unknown", "truncated below what was read"]]);
    await bed.stop(running);
  });

  test("the rest of a file that moved, while the agent was down, to where nobody looks", async () => {
    await using bed = await openCase();
    mkdirSync(bed.path("live"));
    mkdirSync(bed.path("archive/2026/11"), { recursive: true });
    writeFileSync(bed.path("live/app.log"), "1\n");
    let running = bed.start({ path: bed.path("live/*.log") });
    await bed.step(running);
    running = await whileDown(bed, running, () => {
      appendFileSync(bed.path("live/app.log"), "2\n");
      renameSync(bed.path("live/app.log"), bed.path("archive/2026/11/app.log"));
    });
    await bed.run(running, 2 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1"]);
    assert.deepEqual(losses(bed), [[2, "unknown", "gone while nobody held it"]]);
    await bed.stop(running);
  });

  test("the beginning of a line, of a file that was deleted while the agent was down", async () => {
    await using bed = await openCase();
    writeFileSync(bed.path("app.log"), "1\n2\npart");
    let running = bed.start({ path: bed.path("app.log") });
    await bed.run(running, 1000);
    running = await whileDown(bed, running, () => unlinkSync(bed.path("app.log")));
    await bed.run(running, SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), ["1", "2"]);
    assert.deepEqual(losses(bed)[0], [4, 8, "gone while nobody held it"]);
    await bed.stop(running);
  });
});
