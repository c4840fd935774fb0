import { invariant } from "../../../base/invariant.ts";
import {
  type Batch,
  DeliveryError,
  type Destination,
  type ProducerIdentity,
  type ProducerStamp,
  type SendTarget,
  type TopicInfo,
} from "../destination.ts";
import type { SinkDeps } from "../options.ts";
import type { Delivery } from "../port.ts";
import { BATCH_HEADER_BYTES, NO_PRODUCER } from "./batch-header.ts";
import { Cluster, type TopicConfig, type TopicMetadata } from "./cluster.ts";
import { HeaderTemplates, KafkaBatch, newKafkaBatch } from "./kafka-batch.ts";
import {
  codeName,
  DUPLICATE_SEQUENCE_NUMBER,
  LEADER_NOT_AVAILABLE,
  protocolError,
  UNKNOWN_TOPIC_OR_PARTITION,
} from "./kafka-errors.ts";
import { ProducerIds } from "./producer-ids.ts";
import { RecordBuffers } from "./record-buffers.ts";
import {
  BATCH_BYTES_MAX,
  type KafkaOptions,
  missingTopic,
  REQUEST_TIMEOUT_MS_DEFAULT,
  warningsOf,
} from "./topic-facts.ts";

/** The limits of a topic are read again after this time at most. */
const CONFIG_AGE_MS = 60_000;

/** Kafka, by Produce requests of our own. */
export class KafkaDestination implements Destination {
  readonly identify?: (options: { readonly isFresh: boolean }) => Promise<ProducerIdentity>;
  readonly #cluster: Cluster;
  readonly #options: KafkaOptions;
  readonly #deps: SinkDeps;
  readonly #buffers = new RecordBuffers();
  readonly #templates = new HeaderTemplates();
  readonly #configs = new Map<string, { readonly config: TopicConfig; readonly readAtMs: number }>();

  constructor(options: KafkaOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#cluster = new Cluster(options, deps, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT);
    if (!options.idempotent) return;
    const ids = new ProducerIds(() => this.#cluster.initProducerId());
    this.identify = ({ isFresh }) => (isFresh ? ids.fresh() : ids.shared());
  }

  async describe(topic: string): Promise<TopicInfo> {
    const metadata = await this.#metadata(topic);
    const config = await this.#config(topic);
    return {
      name: topic,
      partitions: metadata.partitions,
      batchBytesMax: Math.min(BATCH_BYTES_MAX, config.maxMessageBytes ?? BATCH_BYTES_MAX),
      warnings: warningsOf({ ...metadata, minInsyncReplicas: config.minInsyncReplicas }),
    };
  }

  limitSpares(bytes: number): void {
    this.#buffers.limitSpares(bytes);
  }

  newBatch(topic: TopicInfo): KafkaBatch {
    return newKafkaBatch(
      { compression: this.#options.compression, templates: this.#templates },
      { recordsBytesMax: topic.batchBytesMax - BATCH_HEADER_BYTES, buffers: this.#buffers },
    );
  }

  lineOverheadBytes(delivery: Delivery): number {
    return this.#templates.lineOverheadBytes(delivery);
  }

  async send(target: SendTarget, batch: Batch, stamp: ProducerStamp = NO_PRODUCER): Promise<void> {
    invariant(batch instanceof KafkaBatch, "a Kafka sink sends the batches it made");
    const { topic, partition } = target;
    const what = `Cannot deliver to partition ${partition} of topic ${topic} on ${this.#cluster.name}`;
    const leader = this.#cluster.leader(topic, partition);
    if (leader === undefined) throw protocolError(LEADER_NOT_AVAILABLE, what, "the partition has no leader");
    const { errorCode, errorMessage } = await leader.send(target, batch, stamp);
    if (errorCode !== 0 && errorCode !== DUPLICATE_SEQUENCE_NUMBER)
      throw protocolError(errorCode, what, errorMessage);
  }

  async close(): Promise<void> {
    this.#cluster.close();
  }

  async #metadata(topic: string): Promise<TopicMetadata> {
    try {
      return await this.#cluster.metadata(topic);
    } catch (error) {
      const isMissing = error instanceof DeliveryError && error.code === codeName(UNKNOWN_TOPIC_OR_PARTITION);
      if (!isMissing) throw error;
    }
    if (!this.#options.createTopics) throw missingTopic(topic, this.#options.brokers);
    await this.#cluster.createTopic(topic);
    this.#deps.logger.info({ topic }, "A topic was created");
    return await this.#cluster.metadata(topic);
  }

  async #config(topic: string): Promise<TopicConfig> {
    const nowMs = this.#deps.clock.monotonicMs();
    const known = this.#configs.get(topic);
    if (known !== undefined && nowMs - known.readAtMs < CONFIG_AGE_MS) return known.config;
    const config = await this.#cluster.config(topic);
    this.#configs.set(topic, { config, readAtMs: nowMs });
    return config;
  }
}
