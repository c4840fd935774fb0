import kafkajs, { type KafkaMessage } from "kafkajs";
import { withAdmin } from "./kafka.ts";
import "./kafkajs-zstd.ts";

/** A record as it is in the topic. */
export interface ConsumedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

export interface ConsumeOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /**
   * Reads on until this holds. Without it, the records that are there when the call begins are read. It is asked after each
   * batch, with all records so far.
   */
  readonly until?: (records: readonly ConsumedRecord[]) => boolean;
  readonly timeoutMs?: number;
}

const { Kafka, logLevel } = kafkajs;

let groups = 0;

/**
 * Reads a topic from its beginning with kafkajs, which shares no code with our sink. Records of one partition come in the
 * order of their offsets.
 *
 * @throws when the time is over, with what was read until then
 */
export async function consumeAll(options: ConsumeOptions): Promise<ConsumedRecord[]> {
  const { brokers, topic, until, timeoutMs = 30_000 } = options;
  const missing = until === undefined ? await partitionEnds(brokers, topic) : undefined;
  if (missing?.size === 0) return [];

  groups += 1;
  const kafka = new Kafka({ brokers: [...brokers], clientId: "logagent-tests", logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({
    groupId: `logagent-tests-${process.pid}-${Date.now()}-${groups}`,
    maxWaitTimeInMs: 100,
    maxBytesPerPartition: 8 * 1024 * 1024,
  });
  const records: ConsumedRecord[] = [];
  const done = Promise.withResolvers<void>();
  // May be rejected while the consumer still connects.
  done.promise.catch(() => undefined);
  const timer = setTimeout(() => {
    const rest =
      missing === undefined ? "" : `, partitions not at their end: ${[...missing.keys()].join(", ")}`;
    done.reject(
      new Error(
        `Topic ${topic} cannot be read to the end in ${timeoutMs} ms: ${records.length} records${rest}`,
      ),
    );
  }, timeoutMs);
  try {
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) done.reject(payload.error);
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) records.push(toRecord(batch.partition, message));
        if (Number(batch.lastOffset()) + 1 >= (missing?.get(batch.partition) ?? Number.POSITIVE_INFINITY)) {
          missing?.delete(batch.partition);
        }
        if (missing?.size === 0 || until?.(records) === true) done.resolve();
      },
    });
    await done.promise;
    return records;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
}

/** Partition → the offset after its last record, of partitions that hold any. */
async function partitionEnds(brokers: readonly string[], topic: string): Promise<Map<number, number>> {
  const offsets = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
  return new Map(
    offsets
      .filter(({ low, high }) => Number(high) > Number(low))
      .map(({ partition, high }) => [partition, Number(high)]),
  );
}

function toRecord(partition: number, message: KafkaMessage): ConsumedRecord {
  return {
    partition,
    offset: Number(message.offset),
    key: message.key,
    value: message.value ?? Buffer.alloc(0),
    headers: Object.fromEntries(
      Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
    ),
    timestampMs: Number(message.timestamp),
  };
}
