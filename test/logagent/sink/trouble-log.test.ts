import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { systemRandom } from "../../../base/random.ts";
import { BatchedSink } from "../../../logagent/sink/batched-sink.ts";
import { DeliveryError, type Destination } from "../../../logagent/sink/destination.ts";
import { LineBatch } from "../../../logagent/sink/line-batch.ts";
import { TOPIC_LINES_MAX, TroubleLog } from "../../../logagent/sink/trouble-log.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { recordedLog } from "../../support/recorded-log.ts";
import { SettlingClock } from "../../support/settling-clock.ts";
import { RecordedFile } from "./recorded-file.ts";

const AWAY = new DeliveryError("ECONNREFUSED", "Cannot reach Kafka at k:9092: refused", { remedy: "soon" });
const MISSING = new DeliveryError("UNKNOWN_TOPIC", "Cannot deliver: no such topic", { remedy: "slow" });

function newLog() {
  const { log, lines } = recordedLog();
  const clock = new ManualClock();
  const messages = () => lines.map((line) => `${line.level} ${line.msg}`);
  return { clock, lines, messages, troubleLog: new TroubleLog({ logger: log, clock }) };
}

suite("TroubleLog", () => {
  test("says once for each reason that a topic is held up, then every minute with counts, then that it goes on", () => {
    const { troubleLog, clock, lines, messages } = newLog();
    for (let second = 0; second < 150; second += 1) {
      troubleLog.failed("web", second === 100 ? MISSING : AWAY);
      clock.advance(1_000);
    }
    troubleLog.over("web");
    troubleLog.over("web");
    assert.deepEqual(messages(), [
      "warn Delivery to a topic is held up, trying again",
      "warn Delivery is still held up, trying again",
      "error A topic cannot be written to and waits",
      "warn Delivery is still held up, trying again",
      "info Delivery to a topic goes on",
    ]);
    assert.deepEqual(
      [lines[1]?.topics, lines[1]?.failedAttempts, lines[1]?.heldUpMs, lines[3]?.failedAttempts],
      [1, 61, 60_000, 60],
    );
    assert.deepEqual([lines[4]?.failedAttempts, lines[4]?.heldUpMs], [150, 150_000]);
  });

  test("tells at once that a line was refused for good, and of more once a minute with their number", () => {
    const { troubleLog, clock, lines } = newLog();
    const error = new DeliveryError("MESSAGE_TOO_LARGE", "Cannot deliver: too large", {
      remedy: "too-large",
    });
    for (let second = 0; second < 100; second += 1) {
      troubleLog.refused("web", { error, lineBytes: 7 });
      clock.advance(1_000);
    }
    assert.deepEqual(
      lines.map(({ level, topic, lineBytes, lines: count }) => [level, topic, lineBytes, count]),
      [
        ["error", "web", 7, 1],
        ["error", "web", 7, 60],
      ],
    );
  });

  test("writes few lines for thousands of topics, and their number", () => {
    const { troubleLog, clock, lines } = newLog();
    for (let round = 0; round < 61; round += 1) {
      for (let topic = 0; topic < 1_000; topic += 1) troubleLog.failed(`t${topic}`, AWAY);
      clock.advance(1_000);
    }
    const reminders = lines.filter((line) => line.topics !== undefined);
    assert.deepEqual([reminders.length, reminders[0]?.topics], [1, 1_000]);
    assert.ok(lines.length <= 2 * TOPIC_LINES_MAX + 1, `${lines.length} lines`);
  });
});

suite("BatchedSink", () => {
  test("does not log that delivery goes on when it is closed with the destination away", async () => {
    const { log, lines } = recordedLog();
    const clock = new SettlingClock();
    const destination: Destination = {
      describe: () => Promise.reject(AWAY),
      newBatch: () => new LineBatch(1_024),
      lineOverheadBytes: () => 1,
      send: () => Promise.reject(AWAY),
      close: async () => undefined,
    };
    const deps = { clock, random: systemRandom, logger: log };
    const sink = new BatchedSink({ destination, deps });
    const delivery = new RecordedFile("a").next("web", ["1"]);
    const refused = assert.rejects(sink.deliver(delivery, { signal: AbortSignal.timeout(60_000) }), {
      code: "ESINKCLOSED",
    });
    await clock.advance(1_000);
    await sink.close();
    await clock.advance(10_000);
    await refused;
    assert.deepEqual(
      lines.map((line) => line.msg),
      ["Delivery to a topic is held up, trying again"],
    );
  });
});
