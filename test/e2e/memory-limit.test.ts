import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { eventually, temporaryFolder } from "../support/process.ts";
import { openClient, putConfig, startAgent, startLogstore } from "../support/scene.ts";

const MIB = 1024 * 1024;
/** What Node takes before it reads is 100 to 130 MiB; without the limit the agent takes over 300 to ship these files. */
const LIMIT_BYTES = 208 * MIB;
const FILES = ["a", "b", "c"];
const FILE_BYTES = 48 * MIB;
const LINES_AT_A_TIME = 8_192;

suite("memory.max", () => {
  test("is kept by reading less, and everything is shipped", async () => {
    await using store = await startLogstore();
    const out = temporaryFolder("out");
    const more = { memory: { max: LIMIT_BYTES } };
    await using agent = await startAgent({
      endpoint: store.endpoint,
      sink: { type: "file", path: out },
      more,
    });
    const written = FILES.map((name) => writeLines(path.join(agent.logs, name)));
    await using client = openClient(store.endpoint);
    await putConfig(
      client,
      agent,
      FILES.map((name) => ({ path: path.join(agent.logs, name), topic: name })),
    );
    await eventually(
      async () => {
        const { tasks } = JSON.parse(await agent.tasks()) as { tasks: { bytesAcked: number }[] };
        assert.deepEqual(
          tasks.map(({ bytesAcked }) => bytesAcked),
          written,
        );
      },
      { timeoutMs: 60_000 },
    );
    for (const name of FILES) {
      const shipped = readFileSync(path.join(out, `${name}.log`));
      assert.ok(shipped.equals(readFileSync(path.join(agent.logs, name))), `${name} arrived byte for byte`);
    }
    const status = readFileSync(`/proc/${agent.running().pid}/status`, "utf8");
    const peakBytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024;
    assert.ok(peakBytes <= LIMIT_BYTES, `peak ${peakBytes} of ${LIMIT_BYTES} bytes`);
    const { readingBytes } = JSON.parse(await agent.running().waitForLine("memory is limited"));
    assert.ok(readingBytes < 32 * MIB, `a budget of ${readingBytes} bytes`);
    const metrics = await (await fetch(`http://${agent.http}/metrics`)).text();
    assert.match(metrics, new RegExp(`^logagent_memory_limit_bytes ${LIMIT_BYTES}$`, "m"));
    assert.match(metrics, /^logagent_reading_share (0\.\d+|1)$/m);
  });

  test("that leaves nothing to read with ends the start with both sizes", async () => {
    await using store = await startLogstore();
    const more = { memory: { max: 64 * MIB } };
    const sink = { type: "file", path: temporaryFolder("out") };
    await assert.rejects(
      startAgent({ endpoint: store.endpoint, sink, more }),
      /Cannot keep memory\.max: it is 67108864 bytes, expected at least \d+: the agent takes \d+ bytes/,
    );
  });
});

/** Its length. */
function writeLines(file: string): number {
  let bytes = 0;
  for (let line = 0; bytes < FILE_BYTES; ) {
    let text = "";
    for (const end = line + LINES_AT_A_TIME; line < end; line++)
      text += `${`line ${line} `.padEnd(120, "x")}\n`;
    appendFileSync(file, text);
    bytes += text.length;
  }
  return bytes;
}
