import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { DiskFaults, diskFaultsEnv } from "./disk-faults.ts";
import { run, temporaryFolder } from "./process.ts";

/** Writes 100 bytes twice at the start of a file in the data folder, once behind them, and one outside; prints what happened. */
const PROGRAM = `
  const fs = require("node:fs");
  const data = process.argv[1].slice("--data-dir=".length);
  fs.mkdirSync(data, { recursive: true });
  const bytes = Buffer.alloc(100, 1);
  const write = (name, position) => {
    const file = fs.openSync(name, fs.constants.O_RDWR | fs.constants.O_CREAT);
    const startMs = performance.now();
    let outcome;
    try {
      outcome = fs.writeSync(file, bytes, 0, bytes.length, position);
      fs.fdatasyncSync(file);
    } catch (error) {
      outcome = error.code;
    }
    fs.closeSync(file);
    return { outcome, tookMs: performance.now() - startMs };
  };
  const inside = data + "/file";
  console.log(JSON.stringify([write(inside, 0), write(inside, 0), write(inside, 100), write(data + "-other", 0)]));
`;
const DELAY_MS = 150;

interface Written {
  readonly outcome: number | string;
  readonly tookMs: number;
}

async function writeWith(suffer: (faults: DiskFaults) => void): Promise<readonly Written[]> {
  const folder = temporaryFolder("disk-faults");
  suffer(new DiskFaults(folder));
  const args = ["-e", PROGRAM, "--", `--data-dir=${path.join(folder, "data")}`];
  const { stdout, stderr } = await run(process.execPath, args, { env: diskFaultsEnv() });
  assert.equal(stderr, "");
  return JSON.parse(stdout) as readonly Written[];
}

test("DiskFaults leaves a healthy disk alone", async () => {
  const written = await writeWith((faults) => {
    faults.full(0);
    faults.heal();
  });
  assert.deepEqual(
    written.map(({ outcome }) => outcome),
    [100, 100, 100, 100],
  );
});

test("DiskFaults.slow() delays each sync below the data folder", async () => {
  const written = await writeWith((faults) => faults.slow(DELAY_MS));
  const [, , , outside, ...others] = [...written, ...written.slice(0, 3)];
  assert.equal(outside?.outcome, 100);
  for (const { tookMs } of others) assert.ok(tookMs >= DELAY_MS, `a sync took ${tookMs} ms`);
});

test("DiskFaults.full() lets files below the data folder grow so far, and be written over", async () => {
  const written = await writeWith((faults) => faults.full(130));
  assert.deepEqual(
    written.map(({ outcome }) => outcome),
    [100, 100, 30, 100],
  );
});

test("DiskFaults.full() gives no byte where there is no room", async () => {
  const written = await writeWith((faults) => faults.full(0));
  assert.deepEqual(
    written.map(({ outcome }) => outcome),
    ["ENOSPC", "ENOSPC", "ENOSPC", 100],
  );
});
