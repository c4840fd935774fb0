import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { CodedError } from "../../base/errors.ts";
import { SCAN_MS } from "../../logagent/source/scan-timing.ts";
import { type Running, SourceBed } from "../support/source-bed.ts";

/** Counts the scans that begin from now on. */
function countScans(bed: SourceBed): { count: number } {
  const scans = { count: 0 };
  const run = bed.scans.run.bind(bed.scans);
  bed.scans.run = (scan, options) => {
    scans.count += 1;
    return run(scan, options);
  };
  return scans;
}

/** A line every 250 ms, at the pace of beats that come without a rest. */
async function growFor(bed: SourceBed, running: Running, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 25) {
    if (passed % 250 === 0) appendFileSync(bed.path("live.log"), `live ${passed}\n`);
    await bed.step(running, 25);
  }
}

const liveLines = (bed: SourceBed) => bed.sink.lines().filter((line) => line.startsWith("live"));

suite("a scan that throws", () => {
  test("keeps no held file from being read, is not tried each beat, and is said until one works", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("live.log"), "first\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    const scans = countScans(bed);
    bed.claims.ownerOf = () => {
      throw new CodedError("EMFILE", "EMFILE: too many open files");
    };
    await growFor(bed, running, 20_000);
    await bed.step(running, 250);
    assert.equal(liveLines(bed).length, 80);
    assert.ok(scans.count >= 10 && scans.count <= 20_250 / SCAN_MS + 1, `${scans.count} scans`);
    assert.deepEqual(running.context.problems.list(), ["Cannot look for files: EMFILE: too many open files"]);
    assert.ok(running.source.dueMs > bed.clock.monotonicMs(), "no poll is due at once");
    Reflect.deleteProperty(bed.claims, "ownerOf");
    await bed.run(running, 2 * SCAN_MS);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });

  test("for a bug rejects the poll, after the held files were looked at", async () => {
    await using bed = await SourceBed.open();
    writeFileSync(bed.path("live.log"), "first\n");
    const running = bed.start({ path: bed.path("*.log") });
    await bed.step(running);
    appendFileSync(bed.path("live.log"), "live\n");
    bed.claims.ownerOf = () => {
      throw new Error("a bug");
    };
    bed.clock.advance(SCAN_MS);
    await assert.rejects(running.source.poll(), /a bug/);
    await running.source.idle();
    assert.equal(liveLines(bed).length, 1);
    Reflect.deleteProperty(bed.claims, "ownerOf");
    await bed.stop(running);
  });
});
