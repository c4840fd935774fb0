import { openSink } from "../../logagent/sink/open-sink.ts";
import type { SinkOptions } from "../../logagent/sink/options.ts";
import { type ContractBed, sinkContract } from "../logagent/sink/contract.ts";
import { testDeps } from "../logagent/sink/recorded-file.ts";
import { sinkOptions } from "../logagent/sink/sink-options.ts";
import { consumeAll } from "../support/consume.ts";
import { startKafka, uniqueTopic } from "../support/kafka.ts";

/** A broker of its own, since the contract kills it. */
async function newKafkaBed(options: Pick<SinkOptions, "type" | "compression">): Promise<ContractBed> {
  const kafka = await startKafka({ own: true });
  let requests = 0;
  return {
    missingReason: /^Topic \S+ does not exist on 127\.0\.0\.1:\d+ and sink\.createTopics is false: create it/,
    oversized: { bytes: 1_200_000, outcome: /MESSAGE_TOO_LARGE/ },
    newTopic: async ({ partitions = 1 } = {}) => {
      const topic = uniqueTopic("sink");
      await kafka.createTopic(topic, { partitions });
      return topic;
    },
    unusedTopic: () => uniqueTopic("missing"),
    createTopic: (topic) => kafka.createTopic(topic),
    open: ({ maxInFlightBytes } = {}) =>
      openSink(
        sinkOptions({ brokers: kafka.brokers, requestTimeoutMs: 10_000, ...options, maxInFlightBytes }),
        testDeps({
          observer: {
            onError: () => undefined,
            onRequest: () => {
              requests += 1;
            },
          },
        }),
      ),
    arrived: async (topic) => {
      const records = await consumeAll({ brokers: kafka.brokers, topic });
      return records.map(({ value, headers, partition }) => ({ value, partition, pos: headers.pos ?? "" }));
    },
    away: () => kafka.kill(),
    back: () => kafka.restart(),
    roundTrips: () => requests,
    [Symbol.asyncDispose]: () => kafka.stop(),
  };
}

sinkContract("Kafka sink, zstd", () => newKafkaBed({ type: "kafka", compression: "zstd" }));
sinkContract("Kafka sink, uncompressed", () => newKafkaBed({ type: "kafka", compression: "none" }));
sinkContract("kafkajs sink, gzip", () => newKafkaBed({ type: "kafkajs", compression: "gzip" }));
