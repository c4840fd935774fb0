import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { SMALL_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { watchFs } from "../model/watched-fs.ts";
import { SourceBed } from "../support/source-bed.ts";

test("shipFile() does not take growth that was seen while a read was under way for bytes that are gone", async () => {
  await using bed = await SourceBed.open();
  const line = `${"x".repeat(99)}\n`;
  const lines = Math.ceil(SMALL_CHUNK_BYTES / line.length) * 2;
  writeFileSync(bed.path("a.log"), line.repeat(lines));
  const running = bed.start({ path: bed.path("a.log") });
  let reads = 0;
  const look = () => {
    reads += 1;
    if (reads > 1) return;
    // The kernel has answered, and nobody has heard of it yet.
    appendFileSync(bed.path("a.log"), line);
    running.source.hint({ kind: "content", path: bed.path("a.log") });
    void running.source.poll();
  };
  watchFs({
    read: (_fd, _position, bytes) => (bytes > SMALL_CHUNK_BYTES ? look() : undefined),
  });
  try {
    await bed.run(running, 1_000);
  } finally {
    watchFs(undefined);
  }
  assert.ok(reads > 0, "a large read was under way");
  assert.equal(bed.sink.lines().length, lines + 1);
  assert.deepEqual(running.context.totals.lossesUnknown, 0);
  assert.deepEqual(running.context.totals.bytesLost, 0);
  await bed.stop(running);
});
