import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { agentStatusSchema, STATUS_BYTES_MAX, STATUS_WORST_TASKS_MAX } from "../../../conf/agent-status.ts";
import { ENTRY_FIELDS } from "../../../conf/parse-collect-config.ts";
import type { LossRecord } from "../../../logagent/checkpoint/loss.ts";
import type { TopicStatus } from "../../../logagent/sink/port.ts";
import { buildStatus, encodeStatus } from "../../../logagent/status/build-status.ts";
import { unreadyReasons } from "../../../logagent/status/readiness.ts";
import { APPLIED, agentView, taskStatus } from "./task-status.ts";

const LOSS: LossRecord = {
  file: "a",
  path: "/var/log/a.log",
  entry: "/var/log/*.log",
  topic: "t",
  from: 3,
  to: "unknown",
  reason: "rewritten in place",
  noticedAtMs: 5_000,
};

suite("buildStatus()", () => {
  test("has the documented shape, with sums over all tasks", () => {
    const status = buildStatus(
      agentView({
        tasks: () => [
          taskStatus({
            files: 2,
            bytesRead: 10,
            bytesAcked: 8,
            linesAcked: 3,
            bytesBehind: 5,
            oldestUnackedAgeMs: 7,
          }),
          taskStatus({
            bytesRead: 1,
            bytesAcked: 1,
            linesAcked: 1,
            bytesLost: 4,
            lossesUnknown: 2,
            oldestUnackedAgeMs: 3,
          }),
        ],
      }),
    );
    assert.deepEqual(agentStatusSchema.parse(status), status);
    assert.deepEqual(status.totals, {
      tasks: 2,
      files: 3,
      bytesRead: 11,
      bytesAcked: 9,
      linesAcked: 4,
      bytesBehind: 5,
      bytesLost: 4,
      lossesUnknown: 2,
      oldestUnackedAgeMs: 7,
    });
    assert.equal(status.startedAt, "2030-01-01T00:00:00.000Z");
    assert.equal(status.asOf, "2030-01-02T00:00:00.000Z");
    assert.deepEqual(status.knownFields, ENTRY_FIELDS);
    assert.ok(["path", "topic", "multiline", "rateLimit"].every((name) => status.knownFields.includes(name)));
    assert.deepEqual(status.config, { applied: 7 });
    assert.deepEqual(status.flags, []);
  });

  test("names the revision that was refused, and why", () => {
    const failed = { revision: 9, reason: "Cannot use collect config: the value is empty" };
    const status = buildStatus(agentView({ config: () => ({ ...APPLIED, failed }) }));
    assert.deepEqual(status.config, { applied: 7, failed });
  });

  test("lists tasks with problems first, then those furthest behind, and none that is well", () => {
    const status = buildStatus(
      agentView({
        tasks: () => [
          taskStatus({ path: "/well" }),
          taskStatus({ path: "/behind", bytesBehind: 10 }),
          taskStatus({ path: "/far-behind", bytesBehind: 99 }),
          taskStatus({ path: "/ill", problems: ["Cannot open /ill: permission denied"] }),
        ],
      }),
    );
    assert.deepEqual(
      status.worst.map((task) => task.path),
      ["/ill", "/far-behind", "/behind"],
    );
  });

  test("names a task without a file, behind those in trouble", () => {
    const status = buildStatus(
      agentView({
        tasks: () => [
          taskStatus({ path: "/typo", state: "waiting for file" }),
          taskStatus({ path: "/behind", bytesBehind: 1 }),
        ],
      }),
    );
    assert.deepEqual(
      status.worst.map((task) => [task.path, task.state]),
      [
        ["/behind", "running"],
        ["/typo", "waiting for file"],
      ],
    );
  });

  test("gives whole milliseconds", () => {
    const status = buildStatus(agentView({ tasks: () => [taskStatus({ oldestUnackedAgeMs: 7.25 })] }));
    assert.equal(status.totals.oldestUnackedAgeMs, 7);
  });

  test("gives a task the reason for which its topic waits", () => {
    const waiting: TopicStatus = {
      kind: "waiting",
      reason: "Cannot deliver to topic t: no such topic",
      sinceMs: 1,
    };
    const status = buildStatus(agentView({ tasks: () => [taskStatus()], topic: () => waiting }));
    assert.deepEqual(status.worst[0]?.problems, [waiting.reason]);
    assert.deepEqual(status.flags, ["topic-waiting:t"]);
  });

  test("raises a flag for each condition of the whole agent", () => {
    const status = buildStatus(
      agentView({
        config: () => ({
          applied: { revision: 7, entries: 1, origin: "disk" },
          failed: undefined,
          storeIsOlder: true,
          saveFailure: "disk full",
        }),
        tasks: () => [taskStatus()],
        topic: () => ({ kind: "ready", warnings: ["one replica", "min.insync.replicas 1"] }),
        checkpointFailure: () => "disk full",
        hasLostCheckpoints: true,
        hasIdentityConflict: () => true,
      }),
    );
    assert.deepEqual(status.flags, [
      "identity-conflict",
      "config-from-disk",
      "store-older-than-config",
      "config-not-written",
      "checkpoints-not-written",
      "checkpoints-lost",
      "topic-one-replica:t",
      "topic-min-insync-1:t",
    ]);
  });
});

suite("encodeStatus()", () => {
  const long = "x".repeat(4000);

  test("stays below 16 KiB whatever the tasks are, and says that it left some out", () => {
    const tasks = Array.from({ length: 5000 }, (_, n) =>
      taskStatus({
        path: `/var/log/${long}${n}`,
        topic: `${"t".repeat(240)}${n}`,
        bytesBehind: n,
        problems: [long, long, long, long],
      }),
    );
    const failed = { revision: 9, reason: `Cannot use collect config: ${long}` };
    const loss = { ...LOSS, path: `/var/log/${long}` };
    const view = agentView({
      newestLosses: () => Array(5).fill(loss),
      config: () => ({ ...APPLIED, failed }),
      tasks: () => tasks,
      topic: () => ({ kind: "ready", warnings: ["one replica", "min.insync.replicas 1"] }),
    });
    const value = encodeStatus(buildStatus(view));
    assert.ok(value.byteLength <= STATUS_BYTES_MAX, `${value.byteLength} bytes`);
    const status = agentStatusSchema.parse(JSON.parse(value.toString()));
    assert.ok(status.worst.length > 0 && status.worst.length < STATUS_WORST_TASKS_MAX);
    assert.equal(status.worst[0]?.bytesBehind, 4999);
    assert.ok(status.flags.includes("worst-truncated"));
    assert.equal(status.totals.tasks, 5000);
    assert.equal(status.losses?.length, 5);
  });

  test("leaves out the losses when there is no room for them either", () => {
    // Six bytes each, as JSON.
    const loss = { ...LOSS, path: "\u0001".repeat(4000) };
    const failed = { revision: 9, reason: "\u0001".repeat(4000) };
    const view = agentView({
      version: "1".repeat(5_000),
      newestLosses: () => Array(5).fill(loss),
      config: () => ({ ...APPLIED, failed }),
    });
    const value = encodeStatus(buildStatus(view));
    assert.ok(value.byteLength <= STATUS_BYTES_MAX, `${value.byteLength} bytes`);
    const { losses } = agentStatusSchema.parse(JSON.parse(value.toString()));
    assert.deepEqual(losses, []);
  });

  test("shows what was lost last", () => {
    const status = buildStatus(agentView({ newestLosses: () => Array(9).fill(LOSS) }));
    const { path, from, to, reason } = LOSS;
    assert.deepEqual(
      status.losses,
      Array(5).fill({ path, from, to, reason, at: "1970-01-01T00:00:05.000Z" }),
    );
    assert.deepEqual(agentStatusSchema.parse(status), status);
  });

  test("leaves a small status as it is", () => {
    const status = buildStatus(agentView({ tasks: () => [taskStatus({ bytesBehind: 1 })] }));
    assert.deepEqual(JSON.parse(encodeStatus(status).toString()), status);
  });
});

suite("unreadyReasons()", () => {
  const nothing = { ...APPLIED, applied: undefined };

  test("has none for an agent in good health, also without tasks", () => {
    assert.deepEqual(unreadyReasons(agentView()), []);
  });

  test("names what is missing", () => {
    assert.deepEqual(unreadyReasons(agentView({ config: () => nothing })), [
      "config not known: the store has not answered, and there is no last good config",
    ]);
    const failed = { revision: 3, reason: "Cannot use collect config: the value is empty" };
    assert.deepEqual(unreadyReasons(agentView({ config: () => ({ ...nothing, failed }) })), [
      "config not known: revision 3 was refused: Cannot use collect config: the value is empty",
    ]);
    assert.deepEqual(
      unreadyReasons(agentView({ config: () => ({ ...APPLIED, saveFailure: "disk full" }) })),
      ["last good config not writable: disk full"],
    );
    assert.deepEqual(unreadyReasons(agentView({ checkpointFailure: () => "disk full" })), [
      "checkpoints not writable: disk full",
    ]);
    assert.deepEqual(unreadyReasons(agentView({ hasIdentityConflict: () => true })), [
      "identity 10.0.0.1 is in use by another agent",
    ]);
  });

  test("counts the sink as reachable while one topic of several takes lines", () => {
    const waiting: TopicStatus = { kind: "waiting", reason: "no such topic", sinceMs: 1 };
    const tasks = () => [taskStatus({ topic: "a" }), taskStatus({ topic: "b" })];
    const topic = (name: string): TopicStatus => (name === "a" ? waiting : { kind: "ready", warnings: [] });
    assert.deepEqual(unreadyReasons(agentView({ tasks, topic })), []);
    assert.deepEqual(unreadyReasons(agentView({ tasks, topic: () => waiting })), [
      "sink not reachable: no such topic",
    ]);
  });

  test("says that the sink is not reachable while nothing was sent to the other topics", () => {
    const tasks = () => ["asked", "quiet"].map((topic) => taskStatus({ topic }));
    const topic = (name: string): TopicStatus =>
      name === "asked" ? { kind: "waiting", reason: "refused", sinceMs: 0 } : { kind: "unknown" };
    assert.deepEqual(unreadyReasons(agentView({ tasks, topic })), ["sink not reachable: refused"]);
    assert.deepEqual(unreadyReasons(agentView({ tasks, topic: () => ({ kind: "unknown" }) })), []);
  });
});
