import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { LARGE_CHUNK_BYTES } from "../../logagent/source/chunk-pool.ts";
import { HELD_LINE_BYTES_PER_SECOND } from "../../logagent/source/held-line.ts";
import { watchFs } from "../model/watched-fs.ts";
import { SourceBed } from "../support/source-bed.ts";

test("TailSource does not read a very long line anew for each little that is appended to it", async () => {
  await using bed = await SourceBed.open();
  const path = bed.path("a.log");
  const bytes = 10_000_000;
  writeFileSync(path, "x".repeat(bytes));
  const running = bed.start({ path, maxLineBytes: 16 * 1024 * 1024 });
  let readBytes = 0;
  const read = (_fd: number, _position: number, got: number) => {
    readBytes += got;
  };
  const seconds = 10;
  const appends = (seconds * 1000) / 250;
  watchFs({ read });
  try {
    for (let i = 0; i < appends; i += 1) {
      appendFileSync(path, "y");
      await bed.step(running, 250);
    }
  } finally {
    watchFs(undefined);
  }
  // Of the line, and before that into a chunk in which it has no room.
  const oneRead = bytes + 2 * LARGE_CHUNK_BYTES;
  const reads = 1 + (seconds * HELD_LINE_BYTES_PER_SECOND) / bytes;
  assert.ok(readBytes > bytes && readBytes <= oneRead * reads, `${readBytes} bytes`);
  appendFileSync(path, "\n");
  await bed.run(running, 2_000);
  const lengths = bed.sink.lines().map(({ length }) => length);
  assert.deepEqual(lengths, [bytes + appends]);
  await bed.stop(running);
});
