import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { consumeAll } from "../support/consume.ts";
import { sharedKafka, uniqueTopic } from "../support/kafka.ts";
import { eventually } from "../support/process.ts";
import { openClient, putConfig, startAgent, startLogstore } from "../support/scene.ts";

suite("dead letters of an agent", () => {
  test("a line that Kafka refuses is kept with its position, counted, and stops the task only at the limit", async () => {
    await using store = await startLogstore();
    const kafka = await sharedKafka();
    const topic = uniqueTopic("dead-letters");
    await kafka.createTopic(topic, { configs: { "max.message.bytes": "3000" } });
    const sink = { type: "kafka", brokers: kafka.brokers, maxDeadLetterBytes: 12_000 };
    await using agent = await startAgent({ endpoint: store.endpoint, sink });
    await using client = openClient(store.endpoint);
    const file = path.join(agent.logs, "a.log");
    const entry = { path: file, topic, headers: true };
    await putConfig(client, agent, [entry]);
    const letters = path.join(path.dirname(agent.configFile), "data", "dead-letters", `${topic}.jsonl`);
    // What does not compress.
    const huge = randomBytes(4_500).toString("base64");
    const arrived = async () => {
      const records = await consumeAll({ brokers: kafka.brokers, topic });
      return records.map(({ value }) => value.toString());
    };

    appendFileSync(file, `before\n${huge}\nbehind\n`);
    await eventually(async () => assert.deepEqual(await arrived(), ["before", "behind"]));
    const { pos, end, code, path: from, bytes } = JSON.parse(readFileSync(letters, "utf8"));
    assert.deepEqual([pos, end, code, from], [7, 7 + huge.length + 1, "MESSAGE_TOO_LARGE", file]);
    assert.equal(Buffer.from(bytes, "base64").toString(), huge);
    const metrics = await (await fetch(`http://${agent.http}/metrics`)).text();
    assert.match(metrics, new RegExp(`^logagent_dead_letters_total\\{.*topic="${topic}"\\} 1$`, "m"));

    appendFileSync(file, `${huge}\nlast\n`);
    await eventually(async () =>
      assert.match(await agent.tasks(), /Cannot keep a refused line of \d+ bytes/),
    );
    assert.deepEqual(await arrived(), ["before", "behind"]);
    renameSync(letters, `${letters}.old`);
    await eventually(async () => assert.deepEqual(await arrived(), ["before", "behind", "last"]), {
      timeoutMs: 40_000,
    });
    assert.ok(existsSync(letters));
  });
});
