import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite, test } from "node:test";
import { type ConsumedRecord, consumeAll } from "../support/consume.ts";
import { etcdctl, etcdProgram } from "../support/etcd.ts";
import { sharedKafka, uniqueTopic } from "../support/kafka.ts";
import { eventually, freePort, startProcess, temporaryFolder } from "../support/process.ts";
import { CONFIG_KEY, STORES, startAgent } from "../support/scene.ts";

/**
 * The main job: a put by the real etcdctl starts tasks in a running agent, and the lines of real log files are in a real
 * Kafka, byte for byte, in order, none twice. With our store, and with a real etcd in its place.
 */
for (const [storeName, startStore] of Object.entries(STORES)) {
  suite(`the main job, on ${storeName}`, () => {
    test("ships real log files byte for byte, in order, none twice, after a put by etcdctl", async () => {
      const sources = await realLogs();
      await using store = await startStore();
      const kafka = await sharedKafka();
      const topic = uniqueTopic("main-job");
      await kafka.createTopic(topic, { partitions: 3 });
      const sink = { type: "kafka", brokers: kafka.brokers };
      await using agent = await startAgent({ endpoint: store.endpoint, sink });
      const files = sources.map(({ name, bytes }) => ({ file: path.join(agent.logs, name), bytes }));

      const put = await etcdctl(
        ["put", CONFIG_KEY, JSON.stringify([{ path: `${agent.logs}/*.log`, topic }])],
        store,
      );
      assert.equal(put.stdout.trim(), "OK", put.stderr);
      // As a program does that writes in blocks: they end in the middle of lines and of characters.
      await writeInBlocks(files);

      const expected = files.map(({ file, bytes }) => ({ file, lines: linesOf(bytes) }));
      const total = expected.reduce((sum, { lines }) => sum + lines.length, 0);
      const enough = (records: readonly ConsumedRecord[]) => records.length >= total;
      const records = await consumeAll({ brokers: kafka.brokers, topic, until: enough, timeoutMs: 60_000 });
      for (const { file, lines } of expected) assertShipped(file, lines, records);
      assert.equal(records.length, total);
      // Nothing comes twice after that either.
      await eventually(async () => assert.match(await agent.tasks(), /"bytesBehind": ?0\b/));
      assert.equal((await consumeAll({ brokers: kafka.brokers, topic })).length, total);
    });
  });
}

interface RealLog {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Logs that real programs wrote: an etcd that is started for it, and the package managers of this machine. */
async function realLogs(): Promise<readonly RealLog[]> {
  const logs: RealLog[] = [{ name: "etcd.log", bytes: await logOfAnEtcd() }];
  const npm = path.join(os.homedir(), ".npm", "_logs");
  const found = existsSync(npm) ? readdirSync(npm).map((name) => path.join(npm, name)) : [];
  for (const [index, file] of [
    "/var/log/dpkg.log",
    "/var/log/apt/history.log",
    ...found.slice(-3),
  ].entries()) {
    if (!existsSync(file)) continue;
    const bytes = readFileSync(file);
    // What a program has not finished is not a line yet.
    const whole = bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
    if (whole.length > 0) logs.push({ name: `${index}-${path.basename(file)}`, bytes: whole });
  }
  return logs;
}

async function logOfAnEtcd(): Promise<Buffer> {
  const logFile = path.join(temporaryFolder("etcd-log"), "etcd.log");
  const client = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const args = [
    "--data-dir",
    temporaryFolder("etcd"),
    "--listen-client-urls",
    client,
    "--advertise-client-urls",
    client,
  ];
  args.push(
    "--listen-peer-urls",
    peer,
    "--initial-advertise-peer-urls",
    peer,
    "--initial-cluster",
    `default=${peer}`,
  );
  const etcd = await startProcess(await etcdProgram("etcd"), args, {
    logFile,
    readyLine: "ready to serve client requests",
  });
  await etcd.stop();
  const bytes = readFileSync(logFile);
  assert.ok(bytes.length > 1000);
  return bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
}

async function writeInBlocks(
  files: readonly { readonly file: string; readonly bytes: Buffer }[],
): Promise<void> {
  const BLOCKS = 7;
  for (let block = 0; block < BLOCKS; block += 1) {
    for (const { file, bytes } of files) {
      const cut = (part: number) => Math.floor((bytes.length * part) / BLOCKS);
      appendFileSync(file, bytes.subarray(cut(block), cut(block + 1)));
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Lines as latin1 text, which keeps every byte, with the position of each. */
function linesOf(bytes: Buffer): readonly { readonly text: string; readonly at: number }[] {
  let at = 0;
  return bytes
    .toString("latin1")
    .split("\n")
    .slice(0, -1)
    .map((text) => {
      const line = { text: text.replace(/\r$/, ""), at };
      at += text.length + 1;
      return line;
    });
}

function assertShipped(
  file: string,
  lines: readonly { readonly text: string; readonly at: number }[],
  records: readonly ConsumedRecord[],
): void {
  const mine = records.filter(({ headers }) => headers.path === file);
  assert.equal(new Set(mine.map(({ partition }) => partition)).size, 1, `${file} went to one partition`);
  const inOrder = mine.toSorted((a, b) => a.offset - b.offset);
  assert.deepEqual(
    inOrder.map(({ value }) => value.toString("latin1")),
    lines.map(({ text }) => text),
  );
  const ids = new Set(inOrder.map(({ headers }) => headers.pos?.split(":")[0]));
  assert.equal(ids.size, 1, `${file} has one id`);
  assert.deepEqual(
    inOrder.map(({ headers }) => Number(headers.pos?.split(":")[1])),
    lines.map(({ at }) => at),
  );
}
