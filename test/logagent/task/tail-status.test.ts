import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { LINGER_MS } from "../../../logagent/source/rotation.ts";
import { MISSING_AFTER_MS, tailStatus } from "../../../logagent/task/tail-status.ts";
import { SourceBed } from "../../support/source-bed.ts";

suite("tailStatus()", () => {
  test("says that a task waits for its file when none has been there for a minute, and no longer once it is", async () => {
    await using bed = await SourceBed.open();
    const running = bed.start({ path: bed.path("typo.log") });
    const state = () => tailStatus("running", running.context, running.source).state;
    await bed.step(running);
    assert.equal(state(), "running");
    await bed.run(running, MISSING_AFTER_MS + 1_000);
    assert.equal(state(), "waiting for file");
    assert.deepEqual(tailStatus("running", running.context, running.source).problems, []);
    writeFileSync(bed.path("typo.log"), "1\n");
    await bed.run(running, 1_500);
    assert.equal(state(), "running");
    rmSync(bed.path("typo.log"));
    await bed.run(running, LINGER_MS + 5_000);
    assert.equal(state(), "running");
    await bed.run(running, MISSING_AFTER_MS + 1_000);
    assert.equal(state(), "waiting for file");
    await bed.stop(running);
  });

  test("gives the age of what is not acknowledged in whole milliseconds", async () => {
    await using bed = await SourceBed.open({ autoAck: false });
    writeFileSync(bed.path("a.log"), "1\n");
    const running = bed.start({ path: bed.path("a.log") });
    await bed.step(running);
    bed.clock.advance(12.75);
    assert.equal(tailStatus("running", running.context, running.source).oldestUnackedAgeMs, 13);
    await bed.stop(running);
  });
});
