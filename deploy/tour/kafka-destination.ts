import { join } from "node:path";
import kafkajs from "kafkajs";
import { startKafka } from "../../test/support/kafka.ts";
import "../../test/support/kafkajs-zstd.ts";
import { Tally } from "./account.ts";
import type { Destination } from "./destination.ts";

/**
 * A real broker: the one that KAFKA_BROKERS names, or one fetched and started for the tour. What arrived is counted by
 * kafkajs, which shares no code with the agent's sink.
 */
export async function kafkaDestination(options: {
  readonly topics: readonly string[];
  readonly folder: string;
  readonly say: (text: string) => void;
}): Promise<Destination> {
  const { topics, folder, say } = options;
  say("A Kafka broker starts (the first time, it is fetched).");
  const server = await startKafka({ dataDir: join(folder, "kafka") });
  const kafka = new kafkajs.Kafka({
    brokers: [...server.brokers],
    clientId: "tour",
    logLevel: kafkajs.logLevel.NOTHING,
  });
  for (const topic of topics) await server.createTopic(topic, { partitions: 3 });

  const lines = new Map<string, string[]>();
  const watchers = new Map<string, (line: string) => void>();
  const consumer = kafka.consumer({ groupId: `tour-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, message }) => {
      const line = message.value?.toString() ?? "";
      const list = lines.get(topic) ?? [];
      lines.set(topic, list);
      list.push(line);
      watchers.get(topic)?.(line);
    },
  });

  return {
    title: `Kafka at ${server.brokers.join(",")}`,
    sink: { type: "kafka", brokers: [...server.brokers] },
    watch: (topic, onLine) => void watchers.set(topic, onLine),
    tally: async (wanted) => {
      const tally = new Tally();
      for (const line of wanted.flatMap((topic) => lines.get(topic) ?? [])) tally.add(line);
      return tally;
    },
    [Symbol.asyncDispose]: async () => {
      await consumer.disconnect();
      await server.stop();
    },
  };
}
