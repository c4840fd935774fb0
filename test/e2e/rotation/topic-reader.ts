import kafkajs, { type Consumer, type KafkaMessage } from "kafkajs";
import "../../support/kafkajs-zstd.ts";

export interface TopicReaderOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly onRecord: (partition: number, message: KafkaMessage) => void;
}

let groups = 0;

/** Hands over what is in a topic from its beginning, and what comes, by kafkajs, which shares no code with our sink. */
export class TopicReader implements AsyncDisposable {
  readonly #consumer: Consumer;

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
  }

  static async start({ brokers, topic, onRecord }: TopicReaderOptions): Promise<TopicReader> {
    groups += 1;
    const { Kafka, logLevel } = kafkajs;
    const kafka = new Kafka({ brokers: [...brokers], clientId: "rotation", logLevel: logLevel.NOTHING });
    const consumer = kafka.consumer({
      groupId: `rotation-${process.pid}-${Date.now()}-${groups}`,
      maxWaitTimeInMs: 100,
      maxBytesPerPartition: 8 * 1024 * 1024,
    });
    const reader = new TopicReader(consumer);
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const next = new Map<number, number>();
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) {
          // One that joins its group again begins again.
          const offset = Number(message.offset);
          if (offset < (next.get(batch.partition) ?? 0)) continue;
          next.set(batch.partition, offset + 1);
          onRecord(batch.partition, message);
        }
      },
    });
    return reader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#consumer.disconnect();
  }
}
