import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type Running, SourceBed } from "../../support/source-bed.ts";
import { compress, kernelTick, losses, numbered, SETTLED_MS, text } from "./tail-case.ts";

/** What is in `old` may not be read. */
async function openRestricted(): Promise<SourceBed> {
  const bed = await SourceBed.open({ allow: ["/**/logs/*"] });
  bed.clock.wallMs = Date.now;
  mkdirSync(bed.path("old"));
  return bed;
}

/** Between two looks a file comes, and goes to where it may not be read. */
async function rotateUnseen(bed: SourceBed): Promise<Running> {
  writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
  const running = bed.start({ path: bed.path("app.log") });
  await bed.step(running);
  renameSync(bed.path("app.log"), bed.path("app.log.1"));
  await kernelTick();
  writeFileSync(bed.path("app.log"), text(numbered("app", 10, 10)));
  await kernelTick();
  renameSync(bed.path("app.log"), bed.path("old/app.log.1"));
  writeFileSync(bed.path("app.log"), text(numbered("app", 20, 10)));
  await bed.run(running, 2 * SETTLED_MS);
  assert.match(
    running.context.problems.list().join(),
    /old\/app\.log\.1.*expected a path that "allow" names/,
  );
  return running;
}

suite("a generation that cannot be opened when it is found", () => {
  test("is shipped when it can be, though its successor was first", async () => {
    await using bed = await openRestricted();
    const running = await rotateUnseen(bed);
    renameSync(bed.path("old/app.log.1"), bed.path("app.log.2"));
    await bed.run(running, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines().sort(), numbered("app", 0, 30).sort());
    assert.deepEqual(losses(bed), []);
    await bed.stop(running);
  });

  test("is in a loss record when it goes", async () => {
    await using bed = await openRestricted();
    const running = await rotateUnseen(bed);
    rmSync(bed.path("old/app.log.1"));
    await bed.run(running, 4 * SETTLED_MS);
    const size = text(numbered("app", 10, 10)).length;
    assert.deepEqual(losses(bed)[0], [0, size, "gone while nobody held it"]);
    await bed.stop(running);
  });

  test("is read on where it was known and is compressed by then", async () => {
    await using bed = await openRestricted();
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 10)));
    const running = bed.start({ path: bed.path("app.log") });
    await bed.step(running);
    await bed.stop(running);
    writeFileSync(bed.path("app.log"), text(numbered("app", 0, 20)));
    renameSync(bed.path("app.log"), bed.path("app.log.1"));
    compress(bed.path("app.log.1"), "gz");
    renameSync(bed.path("app.log.1.gz"), bed.path("old/app.log.1.gz"));
    const after = bed.start({ path: bed.path("app.log") });
    await bed.run(after, 2 * SETTLED_MS);
    assert.match(after.context.problems.list().join(), /Cannot unpack .*expected a path that "allow" names/);
    assert.deepEqual(losses(bed), []);
    renameSync(bed.path("old/app.log.1.gz"), bed.path("app.log.1.gz"));
    await bed.run(after, 4 * SETTLED_MS);
    assert.deepEqual(bed.sink.lines(), numbered("app", 0, 20));
    assert.deepEqual(losses(bed), []);
    await bed.stop(after);
  });
});
