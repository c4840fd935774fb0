import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { AgentView } from "../../../logagent/status/agent-view.ts";
import { startStatusServer } from "../../../logagent/status/http-server.ts";
import { createMetrics } from "../../../logagent/status/metrics.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { agentView, taskStatus } from "./task-status.ts";

async function withServer(
  view: AgentView,
  act: (get: (path: string, init?: RequestInit) => Promise<Response>, address: string) => Promise<void>,
): Promise<void> {
  const metrics = createMetrics(view);
  const { log } = recordedLog();
  await using server = await startStatusServer({ address: "127.0.0.1:0", view, metrics, log });
  metrics.countSinkError({ topic: "web", code: "ECONNREFUSED" });
  await act((path, init) => fetch(`http://${server.address}${path}`, init), server.address);
}

suite("startStatusServer()", () => {
  test("serves /healthz and /readyz", () =>
    withServer(agentView(), async (get) => {
      assert.equal((await get("/healthz")).status, 200);
      const ready = await get("/readyz");
      assert.equal(ready.status, 200);
      assert.equal(await ready.text(), "ok\n");
    }));

  test("answers 503 with the reasons while the agent is not ready", () =>
    withServer(agentView({ checkpointFailure: () => "disk full" }), async (get) => {
      const ready = await get("/readyz");
      assert.equal(ready.status, 503);
      assert.equal(await ready.text(), "checkpoints not writable: disk full\n");
      assert.equal((await get("/healthz")).status, 200);
    }));

  test("serves every documented metric, by entry and topic", () => {
    let bytesRead = 100;
    const tasks = () => [
      taskStatus({
        path: "/var/log/*.log",
        topic: "web",
        bytesRead,
        bytesAcked: 90,
        linesAcked: 9,
        bytesBehind: 30,
        bytesLost: 2,
        oldestUnackedAgeMs: 1500,
        openFiles: 4,
        closedFiles: 3,
        waitingFiles: 2,
        heldDeletedBytes: 5,
        linesRejected: 1,
      }),
    ];
    const failed = { revision: 12, reason: "no" };
    const config = () => ({
      applied: { revision: 11, entries: 1, origin: "store" as const },
      failed,
      storeIsOlder: false,
      saveFailure: undefined,
    });
    const inFlight = () => ({ inFlightBytes: 6, heldBytes: 9, limitBytes: 64 });
    return withServer(agentView({ tasks, config, inFlight }), async (get) => {
      const response = await get("/metrics");
      assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      const text = await response.text();
      const labels = '{entry="/var/log/*.log",topic="web"}';
      for (const line of [
        `logagent_bytes_behind${labels} 30`,
        `logagent_oldest_unacked_age_seconds${labels} 1.5`,
        `logagent_bytes_read_total${labels} 100`,
        `logagent_bytes_acked_total${labels} 90`,
        `logagent_lines_acked_total${labels} 9`,
        `logagent_bytes_lost_total${labels} 2`,
        `logagent_dead_letters_total${labels} 1`,
        `logagent_open_files${labels} 4`,
        `logagent_closed_files${labels} 3`,
        `logagent_waiting_files${labels} 2`,
        `logagent_held_deleted_bytes${labels} 5`,
        "logagent_config_revision_applied 11",
        "logagent_in_flight_bytes 6",
        "logagent_in_flight_held_bytes 9",
        "logagent_in_flight_limit_bytes 64",
        "logagent_config_revision_failed 12",
        'logagent_sink_errors_total{topic="web",code="ECONNREFUSED"} 1',
      ]) {
        assert.ok(text.split("\n").includes(line), `${line} is in\n${text}`);
      }
      bytesRead = 150;
      assert.ok((await (await get("/metrics")).text()).includes(`logagent_bytes_read_total${labels} 150\n`));
    });
  });

  test("escapes the labels of a metric", () =>
    withServer(agentView({ tasks: () => [taskStatus({ path: '/a"b\\c\nd' })] }), async (get) => {
      const text = await (await get("/metrics")).text();
      assert.ok(text.includes('logagent_open_files{entry="/a\\"b\\\\c\\nd",topic="t"} 1\n'), text);
    }));

  test("serves /tasks as JSON", () =>
    withServer(
      agentView({ tasks: () => [taskStatus({ path: "/a" })], hasIdentityConflict: () => true }),
      async (get) => {
        const body = (await (await get("/tasks")).json()) as {
          ip: string;
          flags: string[];
          tasks: { path: string }[];
        };
        assert.deepEqual(body.flags, ["identity-conflict"]);
        assert.equal(body.ip, "10.0.0.1");
        assert.equal(body.tasks[0]?.path, "/a");
      },
    ));

  test("answers 404 and 405 to what it does not serve", () =>
    withServer(agentView(), async (get) => {
      assert.equal((await get("/")).status, 404);
      assert.equal((await get("/healthz", { method: "POST" })).status, 405);
      assert.equal((await get("/healthz", { method: "HEAD" })).status, 200);
    }));

  test("says that its port is in use", () =>
    withServer(agentView(), async (_, address) => {
      const view = agentView();
      const { log } = recordedLog();
      await assert.rejects(startStatusServer({ address, view, metrics: createMetrics(view), log }), {
        code: "ELISTEN",
        message: `Cannot listen on http: ${address}: the port is in use, expected a free one (is another agent running?)`,
      });
    }));

  test("says why an address cannot be listened on", async () => {
    const view = agentView();
    const { log } = recordedLog();
    await assert.rejects(
      startStatusServer({ address: "192.0.2.1:0", view, metrics: createMetrics(view), log }),
      /^CodedError: Cannot listen on http: 192\.0\.2\.1:0: .*EADDRNOTAVAIL/,
    );
  });
});
