import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { consumeAll } from "../support/consume.ts";
import { sharedKafka, uniqueTopic } from "../support/kafka.ts";
import { eventually } from "../support/process.ts";
import { AGENT_IP, CONFIG_KEY, openClient, putConfig, startAgent, startLogstore } from "../support/scene.ts";

suite("an entry's rules, from the store to the broker", () => {
  test("make records of lines, across a kill and a change of the rules; a bad pattern changes nothing", async () => {
    await using store = await startLogstore();
    const kafka = await sharedKafka();
    const topic = uniqueTopic("rules");
    await kafka.createTopic(topic);
    await using agent = await startAgent({
      endpoint: store.endpoint,
      sink: { type: "kafka", brokers: kafka.brokers },
    });
    await using client = openClient(store.endpoint);
    const file = path.join(agent.logs, "a.log");
    const entry = {
      path: file,
      topic,
      multiline: { preset: "java", timeoutMs: 300 },
      exclude: ["^DEBUG"],
      redact: [{ pattern: "[\\w.]+@[\\w.]+", replacement: "<mail>" }],
      format: "json",
      fields: { env: "test" },
      key: "path",
      maxLineBytes: 1024,
    };
    await putConfig(client, agent, [entry]);
    const arrived = async () => {
      const records = await consumeAll({ brokers: kafka.brokers, topic });
      return records.map(({ key, value, headers }) => {
        const { line, offset, env, ip } = JSON.parse(value.toString());
        assert.equal(key?.toString(), file);
        assert.deepEqual([ip, headers.ip, headers.path], [AGENT_IP, AGENT_IP, file]);
        assert.equal(headers.pos?.split(":")[1], String(offset));
        return { line, env, part: headers.part };
      });
    };
    const trace = "ERROR mail to a.b@c.d failed\njava.io.IOException: no\n\tat a.B.c(B.java:1)";
    const long = "x".repeat(2500);
    appendFileSync(file, `DEBUG 1\n${trace}\nDEBUG 2\n${long}\nINFO\n`);
    const first = [
      { line: trace.replace("a.b@c.d", "<mail>"), env: "test", part: undefined },
      { line: long.slice(0, 1024), env: "test", part: "1" },
      { line: long.slice(1024, 2048), env: "test", part: "2" },
      { line: long.slice(2048), env: "test", part: "3/3" },
      { line: "INFO", env: "test", part: undefined },
    ];
    await eventually(async () => assert.deepEqual(await arrived(), first));
    const metrics = await (await fetch(`http://${agent.http}/metrics`)).text();
    assert.match(metrics, new RegExp(`^logagent_lines_dropped_total\\{.*topic="${topic}"\\} 2$`, "m"));
    assert.match(metrics, new RegExp(`^logagent_lines_cut_total\\{.*topic="${topic}"\\} 2$`, "m"));
    assert.match(metrics, new RegExp(`^logagent_bytes_behind\\{.*topic="${topic}"\\} 0$`, "m"));

    await agent.kill();
    appendFileSync(file, "DEBUG 3\nto x@y\n");
    await agent.restart();
    await eventually(async () =>
      assert.deepEqual((await arrived()).at(-1), { line: "to <mail>", env: "test", part: undefined }),
    );

    const bad = [{ ...entry, exclude: ["(DEBUG"] }];
    await client.put(CONFIG_KEY, JSON.stringify(bad), { signal: AbortSignal.timeout(20_000) });
    const problem = 'field \\"exclude[0]\\" is \\"(DEBUG\\", expected a pattern that compiles';
    await eventually(async () => {
      const signal = AbortSignal.timeout(20_000);
      const { kv } = await client.get(`/logagent/${AGENT_IP}/status`, { signal });
      assert.ok(
        Buffer.from(kv?.value ?? "")
          .toString()
          .includes(problem),
      );
    });
    await putConfig(client, agent, [{ ...entry, redact: [{ pattern: "x@", replacement: "#" }] }]);
    appendFileSync(file, "to x@z\n");
    await eventually(async () =>
      assert.deepEqual((await arrived()).at(-1), { line: "to #z", env: "test", part: undefined }),
    );
  });
});
