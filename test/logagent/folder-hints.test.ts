import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import { systemClock as clock } from "../../base/clock.ts";
import { FolderHints, type Hint } from "../../logagent/source/folder-hints.ts";

const WAIT_MS = 10_000;
const logger = pino({ level: "silent" });

/** A folder with one file in it, watched; what was told so far. */
async function watched(run: (bed: { folder: string; hints: FolderHints; told: Hint[] }) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "logagent-hints-"));
  writeFileSync(join(folder, "app.log"), "");
  // Long ago, so that the kernel's step of time is no reason to tell.
  utimesSync(folder, 1_000_000_000, 1_000_000_000);
  const hints = new FolderHints({ clock, logger });
  const told: Hint[] = [];
  const target = { hint: (hint: Hint) => void told.push(hint) };
  hints.watch(target, [folder]);
  told.length = 0;
  try {
    await run({ folder, hints, told });
  } finally {
    hints.forget(target);
    rmSync(folder, { recursive: true });
  }
}

async function untilTold(told: readonly Hint[]): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS; told.length === 0; await pause(2)) {
    assert.ok(performance.now() < endMs, `told within ${WAIT_MS} ms`);
  }
}

suite("FolderHints", () => {
  test("a rotation right after a write is told, though the write has ended the watch", async () => {
    await watched(async ({ folder, hints, told }) => {
      appendFileSync(join(folder, "app.log"), "1\n");
      await untilTold(told);
      assert.deepEqual(told.splice(0), [{ kind: "content", path: join(folder, "app.log") }]);
      renameSync(join(folder, "app.log"), join(folder, "app.log.1"));
      assert.deepEqual(told, []);
      hints.watchAgain();
      assert.deepEqual(told, [{ kind: "names" }]);
    });
  });

  test("a write tells nothing of names, however often", async () => {
    await watched(async ({ folder, hints, told }) => {
      for (let i = 0; i < 3; i++) {
        appendFileSync(join(folder, "app.log"), "1\n");
        await untilTold(told);
        hints.watchAgain();
        assert.deepEqual(told.splice(0), [{ kind: "content", path: join(folder, "app.log") }]);
      }
    });
  });
});
