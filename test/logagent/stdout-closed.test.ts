import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { eventually, freePort, temporaryFolder } from "../support/process.ts";

const KEY = "/logagent/a/collect_config";
const BIN = path.join(import.meta.dirname, "../../logagent/bin.js");

/** An agent that ships one file to standard output, by the config it kept: its store is away. */
async function newBed() {
  const folder = temporaryFolder("stdout-closed");
  const log = path.join(folder, "a.log");
  const config = path.join(folder, "agent.yaml");
  const dataDir = path.join(folder, "data");
  mkdirSync(dataDir);
  const value = JSON.stringify([{ path: log, topic: "t" }]);
  writeFileSync(
    path.join(dataDir, "last-good.json"),
    JSON.stringify({ version: 1, key: KEY, revision: 5, value }),
  );
  const store = { endpoints: [`http://127.0.0.1:${await freePort()}`] };
  const sink = { type: "stdout" };
  writeFileSync(
    config,
    JSON.stringify({ ip: "a", store, sink, dataDir, allow: [`${folder}/**`], http: "off" }),
  );
  return { log, args: [BIN, "run", "--config", config] };
}

function outputOf(stream: ChildProcess["stdout"]): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return () => text;
}

suite("logagent run with the sink stdout", () => {
  test("ends with 1 and the reason when its reader went away, and ships what was not written the next time", async () => {
    const { log, args } = await newBed();
    writeFileSync(log, "");
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const exited = once(child, "exit");
    const logged = outputOf(child.stderr);
    await eventually(() => assert.match(logged(), /"msg":"config applied"/));
    child.stdout.destroy();
    writeFileSync(log, "one\ntwo\n");
    assert.deepEqual(await exited, [1, null]);
    await eventually(() => assert.match(logged(), /^Cannot write to standard output: .*EPIPE/m));

    const next = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
    const ended = once(next, "exit");
    const shipped = outputOf(next.stdout);
    await eventually(() => assert.equal(shipped(), "one\ntwo\n"));
    next.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });

  test("refuses to start with standard output closed, where every line would count as delivered", async () => {
    const { log, args } = await newBed();
    writeFileSync(log, "one\n");
    const command = `exec "$0" "$@" >&-`;
    const child = spawn("sh", ["-c", command, process.execPath, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = once(child, "exit");
    const logged = outputOf(child.stderr);
    assert.deepEqual(await exited, [1, null]);
    await eventually(() => assert.match(logged(), /^Cannot use sink stdout: standard output is closed/m));
  });
});
