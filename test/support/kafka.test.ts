import assert from "node:assert/strict";
import { test } from "node:test";
import kafkajs from "kafkajs";
import { consumeAll } from "./consume.ts";
import { type KafkaServer, sharedKafka, startKafka, uniqueTopic } from "./kafka.ts";

const { CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs;

async function produce(kafka: KafkaServer, topic: string, values: readonly string[], compression: number) {
  const producer = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.ERROR }).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  try {
    await producer.send({
      topic,
      acks: -1,
      compression,
      messages: values.map((value, index) => ({ value, partition: index % 2, headers: { n: `${index}` } })),
    });
  } finally {
    await producer.disconnect();
  }
}

for (const [name, compression] of [
  ["none", CompressionTypes.None],
  ["gzip", CompressionTypes.GZIP],
  ["zstd", CompressionTypes.ZSTD],
] as const) {
  test(`consumeAll() gives back what was produced with compression ${name}`, async () => {
    const kafka = await sharedKafka();
    const topic = uniqueTopic(`support-${name}`);
    await kafka.createTopic(topic, { partitions: 2 });
    assert.deepEqual(await consumeAll({ brokers: kafka.brokers, topic }), []);

    const values = Array.from({ length: 10 }, (_, index) => `line ${index} ☃ ${"x".repeat(index * 50)}`);
    await produce(kafka, topic, values, compression);

    const records = await consumeAll({ brokers: kafka.brokers, topic });
    assert.deepEqual(records.map(({ value }) => value.toString()).sort(), [...values].sort());
    for (const record of records) {
      assert.equal(record.headers.n, `${record.offset * 2 + record.partition}`);
    }
  });
}

test("consumeAll() reads on until a condition holds", async () => {
  const kafka = await sharedKafka();
  const topic = uniqueTopic("support-until");
  await kafka.createTopic(topic, { partitions: 2 });
  const reading = consumeAll({ brokers: kafka.brokers, topic, until: (records) => records.length >= 4 });
  await produce(kafka, topic, ["a", "b"], CompressionTypes.None);
  await produce(kafka, topic, ["c", "d"], CompressionTypes.None);
  assert.deepEqual((await reading).map(({ value }) => value.toString()).sort(), ["a", "b", "c", "d"]);
});

test("consumeAll() says how far it came when the time is over", async () => {
  const kafka = await sharedKafka();
  const topic = uniqueTopic("support-late");
  await kafka.createTopic(topic);
  await assert.rejects(
    consumeAll({ brokers: kafka.brokers, topic, until: () => false, timeoutMs: 500 }),
    /cannot be read to the end in 500 ms: 0 records/,
  );
});

test("createTopic() refuses a topic that exists", async () => {
  const kafka = await sharedKafka();
  const topic = uniqueTopic("support-twice");
  await kafka.createTopic(topic);
  await assert.rejects(kafka.createTopic(topic), /exists already/);
});

test("KafkaServer.restart() keeps port and data after a kill", async () => {
  await using kafka = await startKafka({ own: true });
  const { brokers } = kafka;
  const topic = uniqueTopic("support-kill");
  await kafka.createTopic(topic, { partitions: 2 });
  await produce(kafka, topic, ["before", "the kill"], CompressionTypes.None);
  await kafka.kill();
  await kafka.restart();
  assert.deepEqual(kafka.brokers, brokers);
  await produce(kafka, topic, ["after", "it"], CompressionTypes.None);
  // A set: the producer of this test may send again what the broker has.
  const values = new Set((await consumeAll({ brokers, topic })).map(({ value }) => value.toString()));
  assert.deepEqual([...values].sort(), ["after", "before", "it", "the kill"]);
});
