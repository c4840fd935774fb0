import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { alterClientQuotasV1, Connection } from "@platformatic/kafka";
import { systemClock } from "../../base/clock.ts";
import { seededRandom } from "../../base/random.ts";
import { DeliveryError, type ProducerStamp } from "../../logagent/sink/destination.ts";
import { CLIENT_ID } from "../../logagent/sink/kafka/dial.ts";
import { KafkaDestination } from "../../logagent/sink/kafka/kafka-destination.ts";
import { openSink } from "../../logagent/sink/open-sink.ts";
import type { SinkDeps, SinkOptions } from "../../logagent/sink/options.ts";
import type { Sink } from "../../logagent/sink/port.ts";
import { NONE, SequenceLog } from "../logagent/sink/kafka/sequence-log.ts";
import { RecordedFile, testDeps } from "../logagent/sink/recorded-file.ts";
import { sinkOptions } from "../logagent/sink/sink-options.ts";
import { consumeAll } from "../support/consume.ts";
import { type KafkaServer, startKafka, uniqueTopic, withAdmin } from "../support/kafka.ts";
import { eventually } from "../support/process.ts";

const SEED = Number(process.env.SEED ?? 1);
const within = (ms: number) => AbortSignal.timeout(ms);

type QuotaOp = Parameters<typeof alterClientQuotasV1.createRequest>[0][number]["ops"][number];

interface Attempt {
  readonly stamp: ProducerStamp;
  readonly lines: readonly string[];
}

const NAMES = new Map([
  ["OUT_OF_ORDER_SEQUENCE_NUMBER", 45],
  ["INVALID_PRODUCER_EPOCH", 47],
]);

describe("Kafka sink, numbered batches at a real broker", () => {
  let kafka: KafkaServer;
  before(async () => {
    kafka = await startKafka({ own: true });
  });
  after(() => kafka.stop());

  const options = (more: Partial<SinkOptions> = {}): SinkOptions =>
    sinkOptions({ brokers: kafka.brokers, requestTimeoutMs: 10_000, ...more });
  const open = (deps: Partial<SinkDeps> = {}, more: Partial<SinkOptions> = {}): Sink =>
    openSink(options(more), testDeps(deps));

  async function newTopic(partitions = 1): Promise<string> {
    const topic = uniqueTopic("sequences");
    await kafka.createTopic(topic, { partitions });
    return topic;
  }

  async function linesOf(topic: string, partition?: number): Promise<readonly string[]> {
    const records = await consumeAll({ brokers: kafka.brokers, topic });
    return records
      .filter((record) => partition === undefined || record.partition === partition)
      .map(({ value }) => value.toString());
  }

  it(`answers stamps as the model of it does (seed ${SEED})`, async () => {
    const topic = await newTopic();
    const random = seededRandom(SEED);
    const pick = (count: number) => Math.floor(random.next() * count);
    const model = new SequenceLog<string>();
    const destination = new KafkaDestination(options(), testDeps());
    const info = await destination.describe(topic);
    const file = new RecordedFile("stamps");
    // A broker that has just started gives no ids yet.
    const newId = () => eventually(async () => await destination.identify?.({ isFresh: true }));
    const ids = [await newId(), await newId()];
    const next = new Map<number, ProducerStamp>();
    const sent: Attempt[] = [];
    for (let i = 0; i < 250; i++) {
      const id = pick(2);
      const { producerId, epoch } = ids[id] ?? assert.fail("an id");
      const known = next.get(id) ?? { producerId, epoch, baseSequence: 0 };
      const lines = Array.from({ length: 1 + pick(3) }, (_, line) => `${i}.${line}`);
      const dice = random.next();
      let attempt: Attempt = { stamp: known, lines };
      if (dice < 0.25 && sent.length > 0) attempt = sent[Math.max(0, sent.length - 1 - pick(8))] ?? attempt;
      else if (dice < 0.35)
        attempt = { lines, stamp: { ...known, baseSequence: known.baseSequence + 1 + pick(2) } };
      else if (dice < 0.42)
        attempt = { lines, stamp: { ...known, epoch: known.epoch + 1, baseSequence: pick(2) } };
      else if (dice < 0.47 && known.epoch > 0)
        attempt = { lines, stamp: { ...known, epoch: known.epoch - 1 } };
      const batch = destination.newBatch(info);
      batch.append(file.next(topic, attempt.lines), { first: 0, lineOverheadBytes: 0 });
      await batch.prepare();
      const code = await destination.send({ topic, partition: 0 }, batch, attempt.stamp).then(
        () => NONE,
        (error: unknown) => {
          if (!(error instanceof DeliveryError)) throw error;
          return NAMES.get(error.code) ?? error.code;
        },
      );
      const expected = model.append(attempt.stamp, attempt.lines);
      assert.equal(code, expected, `batch ${i}, ${JSON.stringify(attempt, (_, value) => String(value))}`);
      if (code !== NONE || sent.includes(attempt)) continue;
      sent.push(attempt);
      const { stamp } = attempt;
      next.set(id, { ...stamp, baseSequence: stamp.baseSequence + attempt.lines.length });
    }
    await destination.close();
    assert.deepEqual(await linesOf(topic), model.lines);
  });

  it("writes each line once and in order while the broker is killed and comes back", async () => {
    const topic = await newTopic(2);
    await using sink = open({}, { requestTimeoutMs: 5_000 });
    const files = [0, 1, 2, 3].map((i) => new RecordedFile(`${topic}-${i}`));
    const sent = new Map<RecordedFile, string[]>(files.map((file) => [file, []]));
    const write = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        for (const file of files) {
          const own = sent.get(file) ?? [];
          const lines = Array.from(
            { length: 2_000 },
            (_, i) => `${file.id} ${own.length + i} ${"k".repeat(150)}`,
          );
          own.push(...lines);
          await sink.deliver(file.next(topic, lines), { signal: within(60_000) });
        }
      }
    };
    await write(5);
    const writing = write(20);
    await systemClock.sleep(20);
    await kafka.kill();
    await kafka.restart();
    await writing;
    await sink.flush({ signal: within(60_000) });
    const arrived = await linesOf(topic);
    for (const file of files) {
      file.assertComplete();
      assert.deepEqual(
        arrived.filter((line) => line.startsWith(`${file.id} `)),
        sent.get(file),
      );
    }
  });

  it("goes to partitions that are added, once what is in the old one is settled", async () => {
    const topic = await newTopic(1);
    let aheadMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
    await using sink = open({ clock }, { requestTimeoutMs: 10 ** 9 });
    const files = Array.from({ length: 12 }, (_, i) => new RecordedFile(`${topic}-${i}`));
    const deliver = async (part: string) => {
      for (const file of files) {
        const lines = Array.from({ length: 300 }, (_, i) => `${file.id} ${part} ${i}`);
        await sink.deliver(file.next(topic, lines), { signal: within(20_000) });
      }
    };
    await deliver("a");
    await withAdmin(kafka.brokers, (admin) =>
      admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] }),
    );
    aheadMs = 10 * 60_000;
    for (const part of ["b", "c", "d"]) {
      await deliver(part);
      await systemClock.sleep(150);
    }
    await sink.flush({ signal: within(20_000) });
    const records = await consumeAll({ brokers: kafka.brokers, topic });
    assert.equal(records.length, 12 * 300 * 4);
    for (const file of files) file.assertComplete();
    assert.ok(new Set(records.map(({ partition }) => partition)).size > 2);
    for (const file of files) {
      const own = records.filter(({ value }) => value.toString().startsWith(`${file.id} d`));
      assert.equal(new Set(own.map(({ partition }) => partition)).size, 1);
    }
  });

  it("loses nothing and keeps order when its topic is deleted and created again under load", async () => {
    const topic = await newTopic(1);
    await using sink = open();
    const file = new RecordedFile(topic);
    const lines: string[] = [];
    const deliver = async () => {
      const more = Array.from({ length: 4_000 }, (_, i) => `${lines.length + i} ${"r".repeat(150)}`);
      lines.push(...more);
      await sink.deliver(file.next(topic, more), { signal: within(30_000) });
    };
    for (let i = 0; i < 5; i++) await deliver();
    await sink.flush({ signal: within(20_000) });
    const before = file.settledLines;
    const delivering = (async () => {
      for (let i = 0; i < 10; i++) await deliver();
    })();
    await withAdmin(kafka.brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
    await systemClock.sleep(300);
    await kafka.createTopic(topic);
    await delivering;
    await sink.flush({ signal: within(30_000) });
    file.assertComplete();
    const arrived = await linesOf(topic);
    const first = Number(arrived[0]?.split(" ", 1)[0]);
    assert.ok(first >= before, `line ${first} is the first of the new topic`);
    assert.deepEqual(arrived, lines.slice(first));
  });

  it("keeps within a quota of the broker without an error", async () => {
    const topic = await newTopic(1);
    await setQuota({ key: "producer_byte_rate", value: 300_000, remove: false });
    const sleeps = new Set<number>();
    const sleep: typeof systemClock.sleep = (ms, more) => {
      sleeps.add(ms);
      return systemClock.sleep(ms, more);
    };
    const codes: string[] = [];
    const observer = { onError: ({ code }: { code: string }) => void codes.push(code) };
    try {
      await using sink = open({ clock: { ...systemClock, sleep }, observer });
      const file = new RecordedFile(topic);
      const lines = Array.from({ length: 12_000 }, (_, i) => `${i} ${"q".repeat(300)}`);
      for (let i = 0; i < lines.length; i += 2_000) {
        await sink.deliver(file.next(topic, lines.slice(i, i + 2_000)), { signal: within(60_000) });
      }
      await sink.flush({ signal: within(60_000) });
      // A quota is held over ten seconds: that was more than they allow.
      lines.push("the last");
      await sink.deliver(file.next(topic, ["the last"]), { signal: within(60_000) });
      await sink.flush({ signal: within(60_000) });
      file.assertComplete();
      assert.deepEqual(await linesOf(topic), lines);
    } finally {
      await setQuota({ key: "producer_byte_rate", remove: true });
    }
    assert.deepEqual(
      codes.filter((code) => code !== "COORDINATOR_LOAD_IN_PROGRESS"), // of a broker that has just started
      [],
    );
    // Of the others one lingers for 10 ms, and one looks for silence every 1000 ms.
    assert.ok(
      [...sleeps].some((ms) => ms !== 10 && ms !== 1_000),
      `slept ${[...sleeps].join(", ")} ms`,
    );
  });

  /** For the client id of the agent. */
  async function setQuota(op: QuotaOp): Promise<void> {
    const connection = new Connection("logagent-tests");
    const [host = "", port = ""] = kafka.brokers[0]?.split(":") ?? [];
    await connection.connect(host, Number(port));
    const entities = [{ entityType: "client-id", entityName: CLIENT_ID } as const];
    await alterClientQuotasV1.api.async(connection, [{ entities, ops: [op] }], false);
    await connection.close();
  }
});
