import assert from "node:assert/strict";
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { eventually, runBin, temporaryFolder } from "../support/process.ts";
import { openClient, putConfig, type SceneAgent, startAgent, startLogstore } from "../support/scene.ts";

interface Printed {
  readonly isClosed: boolean;
  readonly addsUp: boolean;
  readonly problems: readonly string[];
  readonly totals: Readonly<Record<"seen" | "acked" | "held" | "lost" | "linesDropped" | "files", number>>;
  readonly losses: readonly { readonly path: string; readonly reason: string }[];
}

const audit = (agent: SceneAgent, ...more: string[]) =>
  runBin("logagent", ["audit", "--config", agent.configFile, ...more]);

async function printed(agent: SceneAgent): Promise<Printed> {
  const { code, stdout, stderr } = await audit(agent, "-o", "json");
  assert.equal(stderr, "");
  assert.equal(code, 0);
  return JSON.parse(stdout);
}

suite("logagent audit", () => {
  test("adds up beside an agent, after a kill and after its end; says why when it does not", async () => {
    await using store = await startLogstore();
    const out = temporaryFolder("out");
    await using agent = await startAgent({ endpoint: store.endpoint, sink: { type: "file", path: out } });
    await using client = openClient(store.endpoint);
    const file = path.join(agent.logs, "a.log");
    writeFileSync(file, "one\nDEBUG two\nthree\n");
    await putConfig(client, agent, [{ path: `${agent.logs}/*.log`, topic: "t", exclude: ["^DEBUG"] }]);
    await eventually(async () => {
      const { totals, isClosed } = await printed(agent);
      const { seen, acked, held, lost, linesDropped } = totals;
      assert.deepEqual(
        { seen, acked, held, lost, linesDropped, isClosed },
        { seen: 20, acked: 20, held: 0, lost: 0, linesDropped: 1, isClosed: false },
      );
    });
    // Unfinished: seen, and lost with the truncation.
    appendFileSync(file, "four");
    await eventually(async () => assert.equal((await printed(agent)).totals.held, 4));
    truncateSync(file, 0);
    await eventually(async () => {
      const { totals, losses } = await printed(agent);
      assert.deepEqual([totals.seen, totals.acked, totals.lost, totals.held], [24, 20, 4, 0]);
      assert.equal(losses[0]?.path, file);
    });
    appendFileSync(file, "five\n");
    await agent.restart();
    await eventually(async () => assert.equal((await printed(agent)).totals.acked, 25));
    assert.equal(readFileSync(path.join(out, "t.log"), "utf8"), "one\nthree\nfive\n");

    await agent.running().stop();
    const { isClosed, addsUp } = await printed(agent);
    assert.deepEqual([isClosed, addsUp], [true, true]);
    const table = await audit(agent);
    assert.deepEqual([table.code, table.stderr], [0, ""]);
    assert.match(table.stdout, /^total of 2 +- +29 +\d+ +\d+ +25 +0 +4 +\d+ +1 +0 +0$/m);
    assert.match(table.stdout, /^As of .*: the agent has ended in peace$/m);

    truncateSync(file, 2);
    const wrong = await audit(agent);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stdout, /^total of 2 /m);
    assert.match(
      wrong.stderr,
      /^It does not add up:\n.*a\.log \(\w+\): has 2 bytes, but 5 are acknowledged, and no loss record says that it was truncated\n$/,
    );
    const json = await audit(agent, "-o", "json");
    assert.equal(json.code, 1);
    assert.deepEqual((JSON.parse(json.stdout) as Printed).addsUp, false);
  });

  test("fails when an agent has ended in peace and a file of which it held bytes is gone", async () => {
    await using store = await startLogstore();
    await using agent = await startAgent({
      endpoint: store.endpoint,
      // Nobody listens there.
      sink: { type: "kafka", brokers: ["127.0.0.1:1"] },
      more: { shutdown: { drainMs: 0 } },
    });
    await using client = openClient(store.endpoint);
    const file = path.join(agent.logs, "a.log");
    writeFileSync(file, "one\n");
    await putConfig(client, agent, [{ path: file, topic: "t" }]);
    await eventually(async () => assert.equal((await printed(agent)).totals.held, 4));
    await agent.running().stop();
    assert.equal((await printed(agent)).isClosed, true);
    rmSync(file);
    const { code, stdout, stderr } = await audit(agent);
    assert.equal(code, 1);
    assert.match(stdout, /the agent has ended in peace$/m);
    assert.match(stderr, /a\.log \(\w+\): 4 bytes are held by nobody: no agent runs, and the file is gone;/);
  });

  test("exits 1 where no agent has ever run, and 2 with wrong usage", async () => {
    const folder = temporaryFolder("audit");
    const config = path.join(folder, "agent.yaml");
    writeFileSync(config, JSON.stringify({ dataDir: folder }));
    assert.deepEqual(await runBin("logagent", ["audit", "--config", config]), {
      code: 1,
      stdout: "",
      stderr: `Cannot audit: there are no checkpoints in ${folder}/checkpoints\n`,
    });
    writeFileSync(path.join(folder, "file"), "");
    const inFile = await runBin("logagent", ["audit", "--config", config], {
      env: { LOGAGENT_DATA_DIR: path.join(folder, "file") },
    });
    assert.deepEqual(
      [inFile.code, inFile.stderr],
      [
        1,
        `Cannot read checkpoints ${folder}/file/checkpoints/checkpoints: a part of its path is a file, expected a folder\n`,
      ],
    );
    const wrong = await runBin("logagent", ["audit", "--config", config, "-o", "xml"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /'xml' is invalid\. Allowed choices are table, json/);
  });
});
