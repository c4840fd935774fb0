import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { REFUSED_TELL_MS } from "../../logagent/source/refused-lines.ts";
import { SourceBed } from "../support/source-bed.ts";

test("RefusedLines.add() says a run of refused lines at once and then once a minute, with their number", async () => {
  await using bed = await SourceBed.open();
  writeFileSync(bed.path("app.log"), "a\n");
  const running = bed.start({ path: bed.path("app.log") });
  await bed.step(running);
  const [file] = running.source.files;
  assert.ok(file);
  for (let from = 0; from < 200; from += 2) {
    // No two of them give the same reason.
    file.content.rejected(from, from + 2, 1, `too large: ${from}`);
    bed.clock.advance(REFUSED_TELL_MS / 60);
  }
  const errors = bed.logged.filter(({ level }) => level >= 50);
  const range = { file: file.record.id, path: bed.path("app.log") };
  assert.deepEqual(
    errors.map(({ file, path, from, to, lines }) => ({ file, path, from, to, lines })),
    [
      { ...range, from: 0, to: 2, lines: 1 },
      { ...range, from: 120, to: 122, lines: 60 },
    ],
  );
  assert.equal(bed.logged.filter(({ about }) => about === "rejected").length, 2);
  assert.equal(running.context.totals.linesRejected, 100);
  await bed.stop(running);
});
