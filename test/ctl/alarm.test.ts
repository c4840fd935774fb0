import assert from "node:assert/strict";
import { test } from "node:test";
import { startLogstore } from "../compat/logstore.ts";
import { temporaryFolder } from "../support/process.ts";
import { logctl } from "./run-logctl.ts";

const QUOTA_BYTES = 1_000_000;

test("logctl alarm disarm ends every alarm, and prints which", async () => {
  await using store = await startLogstore({
    folder: temporaryFolder("alarm"),
    args: [`--quota-backend-bytes=${QUOTA_BYTES}`],
  });
  const run = async (args: readonly string[], stdin?: string) => {
    const result = await logctl(args, { endpoint: store.endpoint, ...(stdin !== undefined && { stdin }) });
    return { ...result, stdout: result.stdout.toString() };
  };
  const value = "x".repeat(0.6 * QUOTA_BYTES);
  assert.equal((await run(["put", "one"], value)).code, 0);
  assert.match((await run(["put", "two"], value)).stderr, /mvcc: database space exceeded/);
  const listed = await run(["alarm", "list"]);
  assert.match(listed.stdout, /^memberID:\d+ alarm:NOSPACE\n$/);
  assert.equal((await run(["del", "one"])).stdout, "1\n");
  const revision = (
    JSON.parse((await run(["get", "one", "-w", "json"])).stdout) as { header: { revision: number } }
  ).header.revision;
  assert.equal((await run(["compaction", String(revision)])).code, 0);

  assert.deepEqual(await run(["alarm", "disarm"]), { code: 0, stdout: listed.stdout, stderr: "" });
  assert.equal((await run(["alarm", "list"])).stdout, "");
  assert.equal((await run(["put", "two"], "small")).stdout, "OK\n");
  assert.equal((await run(["alarm", "disarm", "-w", "json"])).stdout, "{}\n");
});
