import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { eventually, freePort, run, startProcess, temporaryFolder } from "./process.ts";

const node = process.execPath;
const support = import.meta.dirname;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("run() gives code, output and what was read from stdin", async () => {
  const script = "process.stdin.pipe(process.stdout); console.error('told'); process.exitCode = 3";
  assert.deepEqual(await run(node, ["-e", script], { stdin: "asked" }), {
    code: 3,
    stdout: "asked",
    stderr: "told\n",
  });
});

test("run() kills what takes too long, and shows what it printed", async () => {
  const script = "console.log('begun'); setInterval(() => {}, 1000)";
  await assert.rejects(run(node, ["-e", script], { timeoutMs: 1000 }), /not done in 1000 ms.*\nbegun/);
});

test("startProcess() waits for its ready line, and stop() tells how it ended", async () => {
  const script =
    "process.on('SIGTERM', () => process.exit(7)); setTimeout(() => console.log('now ready'), 50); setInterval(() => {}, 1000)";
  const child = await startProcess(node, ["-e", script], { readyLine: /ready$/ });
  assert.equal(child.output(), "now ready\n");
  assert.deepEqual(await child.stop(), { code: 7, signal: null });
  assert.deepEqual(await child.stop(), { code: 7, signal: null });
});

test("startProcess() says what a process printed that ended before it was ready", async () => {
  const script = "console.error('port in use'); process.exit(1)";
  await assert.rejects(
    startProcess(node, ["-e", script], { readyLine: "ready" }),
    /it ended without .*\n.*port in use/s,
  );
});

test("stop() kills what ignores SIGTERM", async () => {
  const script = "process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 1000)";
  const child = await startProcess(node, ["-e", script], { readyLine: "ready" });
  assert.deepEqual(await child.stop({ timeoutMs: 100 }), { code: null, signal: "SIGKILL" });
});

test("startProcess() kills its process when its signal is aborted", async () => {
  const controller = new AbortController();
  const child = await startProcess("sleep", ["60"], { signal: controller.signal });
  controller.abort();
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
});

for (const end of ["process.kill(process.pid, 'SIGKILL')", "process.exit(0)", "throw new Error('x')", "0"]) {
  test(`a process ends with the test process that started it, when that ends by ${end}`, async () => {
    const script = `
      const { startProcess, temporaryFolder } = await import(${JSON.stringify(path.join(support, "process.ts"))});
      const child = await startProcess("sleep", ["60"]);
      console.log(JSON.stringify({ pid: child.pid, folder: temporaryFolder() }));
      ${end};
    `;
    // After SIGKILL nobody removes its folders but us.
    const env = { TMPDIR: temporaryFolder() };
    const { stdout } = await run(node, ["--input-type=module", "-e", script], { env });
    const { pid, folder } = JSON.parse(stdout);
    await eventually(() => assert.equal(isRunning(pid), false));
    if (!end.includes("SIGKILL")) assert.equal(existsSync(folder), false);
  });
}

test("freePort() gives a port that can be listened on, outside the range of outgoing ports", async () => {
  const port = await freePort();
  assert.ok(port >= 10_000 && port < 49_152, `${port}`);
  const server = createServer();
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  await new Promise((resolve) => server.close(resolve));
});

test("eventually() gives up with the last error of its assertion", async () => {
  let calls = 0;
  assert.equal(await eventually(() => (calls++ < 3 ? assert.fail("not yet") : calls)), 4);
  await assert.rejects(
    eventually(() => assert.fail("never"), { timeoutMs: 20, intervalMs: 1 }),
    /never/,
  );
  assert.ok(existsSync(temporaryFolder()));
});
