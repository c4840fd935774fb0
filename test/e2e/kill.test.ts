import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Random, seededRandom } from "../../base/random.ts";
import type { StoreClient } from "../../store/client/client.ts";
import { type ConsumedRecord, consumeAll } from "../support/consume.ts";
import { type KafkaServer, startKafka, uniqueTopic } from "../support/kafka.ts";
import { eventually } from "../support/process.ts";
import {
  openClient,
  putConfig,
  type SceneAgent,
  type SceneStore,
  startAgent,
  startLogstore,
} from "../support/scene.ts";

/**
 * kill -9 of agent, store and broker, ten rounds each at random moments under load: what the store acknowledged is there,
 * every line arrives at least once and in order, and `pos` tells each duplicate.
 */
const ROUNDS_EACH = 10;
const NAMES = ["app", "api", "db"];
const LINES_A_TICK = 20;
const TICK_MS = 10;
const CATCH_UP_MS = 90_000;

test("kill -9 of agent, store and broker under load loses nothing that was acknowledged", async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  const random = seededRandom(seed);
  await using store = await startLogstore();
  await using kafka = await startKafka({ own: true });
  const topic = uniqueTopic("kill");
  await kafka.createTopic(topic, { partitions: 2 });
  await using agent = await startAgent({
    endpoint: store.endpoint,
    sink: { type: "kafka", brokers: kafka.brokers },
  });
  await using client = openClient(store.endpoint);
  await putConfig(client, agent, [{ path: `${agent.logs}/*.log`, topic }]);

  const load = new AbortController();
  const written = writeLines(agent.logs, load.signal);
  const acknowledged = putNumbers(client, load.signal);
  await killInTurn({ random, agent, store, kafka });
  load.abort();
  const lines = await written;
  const numbers = await acknowledged;

  await assertAllThere(client, numbers);
  await eventually(async () => assert.match(await agent.tasks(), /"bytesBehind": ?0\b/), {
    timeoutMs: CATCH_UP_MS,
  });
  const records = await consumeAll({ brokers: kafka.brokers, topic, timeoutMs: CATCH_UP_MS });
  t.diagnostic(
    `${lines * NAMES.length} lines, ${records.length} records, ${numbers.length} puts acknowledged`,
  );
  for (const name of NAMES) assertDelivered(path.join(agent.logs, `${name}.log`), name, lines, records);
});

/** Appends numbered lines to each file until the signal; gives the lines written to each. */
async function writeLines(folder: string, signal: AbortSignal): Promise<number> {
  let lines = 0;
  while (!signal.aborted) {
    for (const name of NAMES) {
      let text = "";
      for (let i = 0; i < LINES_A_TICK; i += 1)
        text += `${name} #${lines + i} ${"x".repeat((lines + i) % 200)}\n`;
      appendFileSync(path.join(folder, `${name}.log`), text);
    }
    lines += LINES_A_TICK;
    await sleep(TICK_MS);
  }
  return lines;
}

/** Puts one key after the other; gives the numbers whose put was acknowledged. */
async function putNumbers(client: StoreClient, signal: AbortSignal): Promise<readonly number[]> {
  const acknowledged: number[] = [];
  for (let number = 0; !signal.aborted; number += 1) {
    try {
      await client.put(`/load/${number}`, String(number), { signal: AbortSignal.timeout(3_000) });
      acknowledged.push(number);
    } catch {
      // Not acknowledged: the store may have it or not, both are right.
      await sleep(20);
    }
  }
  return acknowledged;
}

async function killInTurn(parts: {
  readonly random: Random;
  readonly agent: SceneAgent;
  readonly store: SceneStore;
  readonly kafka: KafkaServer;
}): Promise<void> {
  const { random, ...victims } = parts;
  const rounds = Object.values(victims).flatMap((victim) =>
    Array.from({ length: ROUNDS_EACH }, () => victim),
  );
  const order = rounds.map((victim) => ({ victim, at: random.next() })).sort((a, b) => a.at - b.at);
  for (const { victim } of order) {
    await sleep(100 + random.next() * 700);
    await victim.kill();
    await sleep(random.next() * 400);
    await victim.restart();
  }
}

async function assertAllThere(client: StoreClient, numbers: readonly number[]): Promise<void> {
  assert.ok(numbers.length > 100, `only ${numbers.length} puts were acknowledged`);
  const { kvs } = await client.range("/load/", { prefix: true, signal: AbortSignal.timeout(20_000) });
  const values = new Map(kvs.map(({ key, value }) => [key.toString(), value.toString()]));
  const missing = numbers.filter((number) => values.get(`/load/${number}`) !== String(number));
  assert.deepEqual(missing, [], "acknowledged puts are missing");
}

function assertDelivered(
  file: string,
  name: string,
  lines: number,
  records: readonly ConsumedRecord[],
): void {
  const mine = records.filter(({ headers }) => headers.path === file).toSorted((a, b) => a.offset - b.offset);
  const byPosition = new Map<string, string>();
  const numbers: number[] = [];
  for (const { headers, value } of mine) {
    const line = value.toString();
    const position = headers.pos ?? "";
    const known = byPosition.get(position);
    if (known === undefined) {
      byPosition.set(position, line);
      numbers.push(Number(/#(\d+) /.exec(line)?.[1]));
    } else {
      assert.equal(known, line, `${position} stands for two lines`);
    }
  }
  // One position, one line: without the duplicates it is the file, in its order.
  assert.deepEqual(
    numbers,
    Array.from({ length: lines }, (_, number) => number),
    `${name}: lines lost or out of order`,
  );
}
