import { DeliveryError } from "../destination.ts";
import type { SinkOptions } from "../options.ts";
import type { TopicWarning } from "../port.ts";

/** The part of the sink's options that concerns Kafka. */
export type KafkaOptions = Pick<
  SinkOptions,
  "brokers" | "compression" | "createTopics" | "idempotent" | "tls" | "sasl" | "requestTimeoutMs"
>;

/** Larger batches bring nothing, whatever the topic would take. */
export const BATCH_BYTES_MAX = 1024 * 1024;

/** Kafka's error code for a topic or partition it does not have. */
export const UNKNOWN_TOPIC_OR_PARTITION = 3;

/** Kafka's error code for a partition that has no leader yet, or is electing one. */
export const LEADER_NOT_AVAILABLE = 5;

/** The code of {@link missingTopic}; also what Kafka calls it. */
export const UNKNOWN_TOPIC = "UNKNOWN_TOPIC_OR_PARTITION";

/** Nothing creates the topic, and nobody has. */
export function missingTopic(topic: string, brokers: readonly string[]): DeliveryError {
  return new DeliveryError(
    UNKNOWN_TOPIC,
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
