import { DeliveryError } from "../destination.ts";
import type { SinkOptions } from "../options.ts";
import type { TopicWarning } from "../port.ts";
import { codeName, UNKNOWN_TOPIC_OR_PARTITION } from "./kafka-errors.ts";

/** The part of the sink's options that concerns Kafka. */
export type KafkaOptions = Pick<
  SinkOptions,
  "brokers" | "compression" | "createTopics" | "idempotent" | "tls" | "sasl" | "requestTimeoutMs"
>;

/** Larger batches bring nothing, whatever the topic would take. */
export const BATCH_BYTES_MAX = 1024 * 1024;

/** A broker that does not answer for so long is disconnected, unless the options say otherwise. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 30_000;

/** Nothing creates the topic, and nobody has. */
export function missingTopic(topic: string, brokers: readonly string[]): DeliveryError {
  return new DeliveryError(
    codeName(UNKNOWN_TOPIC_OR_PARTITION),
    `Topic ${topic} does not exist on ${brokers.join(",")} and sink.createTopics is false: create it, or correct the name in the collect config`,
    { remedy: "slow" },
  );
}

/** What makes an acknowledgement of a topic weak. */
export function warningsOf(topic: {
  readonly replicas: number;
  readonly minInsyncReplicas: number | undefined;
}): readonly TopicWarning[] {
  const warnings: TopicWarning[] = [];
  if (topic.replicas === 1) warnings.push("one replica");
  if (topic.minInsyncReplicas === 1) warnings.push("min.insync.replicas 1");
  return warnings;
}
