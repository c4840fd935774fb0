import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, suite, test } from "node:test";
import type { StoreClient } from "../../store/client/client.ts";
import { eventually } from "../support/process.ts";
import {
  AGENT_IP,
  CONFIG_KEY,
  openClient,
  type SceneAgent,
  type SceneStore,
  STORES,
  startAgent,
} from "../support/scene.ts";
import { logctl } from "./run-logctl.ts";

const signal = AbortSignal.timeout(120_000);
const STATUS_KEY = `/logagent/${AGENT_IP}/status`;

for (const [name, start] of Object.entries(STORES)) {
  suite(`logctl agents and put with a real agent, against ${name}`, () => {
    let store: SceneStore;
    let agent: SceneAgent;
    let client: StoreClient;
    let endpoint: string;

    before(async () => {
      store = await start();
      endpoint = store.endpoint;
      client = openClient(endpoint);
      agent = await startAgent({ endpoint, sink: { type: "stdout" } });
    });
    after(async () => {
      client.close();
      await agent[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    });

    const agents = async () => {
      const { code, stdout } = await logctl(["agents", "-w", "json"], { endpoint });
      assert.equal(code, 0);
      return JSON.parse(stdout.toString());
    };

    test("an agent without a config is alive", async () => {
      const [own] = await eventually(async () => {
        const list = await agents();
        assert.equal(list.length, 1);
        return list;
      });
      assert.deepEqual([own.agent, own.state, own.configState], [AGENT_IP, "alive", "none"]);
      assert.match(own.status.version, /^\d+\.\d+\.\d+$/);
    });

    test("a config that was put is applied, and the files show", async () => {
      mkdirSync(agent.logs, { recursive: true });
      writeFileSync(path.join(agent.logs, "a.log"), "one\ntwo\n");
      const value = JSON.stringify([{ path: `${agent.logs}/*.log`, topic: "t" }]);
      const put = await logctl(["put", CONFIG_KEY, value], { endpoint });
      assert.deepEqual([put.code, put.stderr, put.stdout.toString()], [0, "", "OK\n"]);
      const revision = (await client.get(CONFIG_KEY, { signal })).kv?.modRevision;
      await eventually(async () => {
        const [own] = await agents();
        assert.deepEqual([own.configState, own.configRevision], ["applied", revision]);
        assert.equal(own.status.totals.tasks, 1);
      });
      const { stdout } = await logctl(["agents"], { endpoint });
      assert.match(stdout.toString(), new RegExp(`│ ${AGENT_IP} │ alive │ .* │ +${revision} applied │`));
    });

    test("put refuses a config that the agent would refuse, and --force does not", async () => {
      const before = (await client.get(CONFIG_KEY, { signal })).kv?.modRevision;
      const refused = await logctl(["put", CONFIG_KEY, '[{"path": "/a", "topik": "t"}]'], { endpoint });
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /^Error: refused to put \/logagent\/scene\/collect_config: Cannot use collect config: /,
      );
      assert.match(refused.stderr, /unknown field "topik", did you mean "topic"\?/);
      assert.match(refused.stderr, /\(--force puts it all the same\)\n$/);
      const noJson = await logctl(["put", CONFIG_KEY], { endpoint, stdin: "[{" });
      assert.match(noJson.stderr, /not JSON at line 1, column 3/);
      assert.equal((await client.get(CONFIG_KEY, { signal })).kv?.modRevision, before);
      const forced = await logctl(["put", CONFIG_KEY, "not JSON", "--force"], { endpoint });
      assert.equal(forced.code, 0);
      await eventually(async () => {
        const [own] = await agents();
        assert.equal(own.configState, "refused");
        assert.match(own.problems[0], /^revision \d+ refused: .*not JSON/);
        assert.equal(own.status.config.applied, before);
      });
    });

    test("put refuses a field that the target does not know, though we do", async () => {
      const key = "/logagent/elder/collect_config";
      const { kv } = await client.get(STATUS_KEY, { signal });
      const status = JSON.parse(kv?.value.toString() ?? "");
      const elder = { ...status, ip: "elder", version: "0.0.1", knownFields: ["path", "topic"] };
      await client.put("/logagent/elder/status", JSON.stringify(elder), { signal });
      const value = '[{"path": "/var/log/a", "topic": "t", "from": "end"}]';
      const { code, stderr } = await logctl(["put", key, value], { endpoint });
      assert.equal(code, 1);
      assert.match(
        stderr,
        /entry 1 has the field "from", which agent elder \(version 0\.0\.1\) does not know/,
      );
      assert.equal((await client.get(key, { signal })).kv, undefined);
      await client.delete("/logagent/elder/status", { signal });
      assert.equal((await logctl(["put", key, value], { endpoint })).code, 0);
      const list = await agents();
      assert.deepEqual(
        list.map((one: { agent: string; state: string }) => [one.agent, one.state]),
        [
          ["elder", "absent"],
          [AGENT_IP, "alive"],
        ],
      );
    });

    test("another prefix is another fleet", async () => {
      const { stdout, stderr } = await logctl(["agents", "--prefix", "/other/", "-w", "json"], { endpoint });
      assert.deepEqual([stdout.toString(), stderr], ["[]\n", "No agents under /other/\n"]);
    });

    test("a fleet larger than a page is read whole", async () => {
      const operations = Array.from({ length: 1_150 }, (_, i) => ({
        kind: "put" as const,
        key: `/large/agent-${String(i).padStart(4, "0")}/collect_config`,
        value: "[]",
      }));
      for (let at = 0; at < operations.length; at += 100) {
        await client.txn({ success: operations.slice(at, at + 100) }, { signal });
      }
      const { stdout } = await logctl(["agents", "--prefix", "/large", "-w", "json"], { endpoint });
      assert.equal(JSON.parse(stdout.toString()).length, 1_150);
    });
  });
}
