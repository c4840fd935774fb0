import type { Admin, Kafka, KafkaConfig, Producer, SASLOptions } from "kafkajs";
import { errorCode, errorMessage } from "../../../base/errors.ts";
import { invariant } from "../../../base/invariant.ts";
import { SharedPromise } from "../../../base/shared-promise.ts";
import { readTlsFiles } from "../../../base/tls-files.ts";
import {
  type Batch,
  DeliveryError,
  type Destination,
  type SendTarget,
  type TopicInfo,
} from "../destination.ts";
import { compress, decompress } from "../kafka/compress.ts";
import { CLIENT_ID } from "../kafka/dial.ts";
import {
  connectionError,
  protocolError,
  tlsFileError,
  UNKNOWN_TOPIC_OR_PARTITION,
} from "../kafka/kafka-errors.ts";
import {
  BATCH_BYTES_MAX,
  type KafkaOptions,
  missingTopic,
  REQUEST_TIMEOUT_MS_DEFAULT,
  warningsOf,
} from "../kafka/topic-facts.ts";
import type { SinkDeps } from "../options.ts";
import { MESSAGE_OVERHEAD_BYTES, MessageBatch } from "./message-batch.ts";

const ACKS_ALL = -1;

type Library = typeof import("kafkajs");
type Connected = Pick<Admin | Producer, "disconnect">;

/**
 * Kafka through the kafkajs producer: an object for each line, so about a tenth of the speed of our own requests. It is for
 * brokers that the other driver cannot talk to. Each topic has a client of its own, since one that is missing stops a shared
 * client's metadata for all.
 */
export class KafkajsDestination implements Destination {
  readonly #options: KafkaOptions;
  readonly #deps: SinkDeps;
  readonly #client: SharedPromise<{ readonly library: Library; readonly kafka: Kafka }>;
  readonly #admin = new SharedPromise(() => this.#connectAdmin());
  readonly #producers = new Map<string, SharedPromise<Producer>>();

  constructor(options: KafkaOptions, deps: SinkDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#client = new SharedPromise(() => load(options));
  }

  async describe(topic: string): Promise<TopicInfo> {
    const partitions = await this.#withAdmin(`Cannot find topic ${topic}`, async (admin) => {
      try {
        return await partitionsOf(admin, topic);
      } catch (error) {
        if (protocolCode(error) !== UNKNOWN_TOPIC_OR_PARTITION) throw error;
      }
      if (!this.#options.createTopics) throw missingTopic(topic, this.#options.brokers);
      await admin.createTopics({ topics: [{ topic }], waitForLeaders: true });
      this.#deps.logger.info({ topic }, "A topic was created");
      return await partitionsOf(admin, topic);
    });
    const config = await this.#config(topic);
    const replicas = Math.min(...partitions.map((partition) => partition.replicas.length));
    return {
      name: topic,
      partitions: partitions.length,
      batchBytesMax: Math.min(BATCH_BYTES_MAX, config.maxMessageBytes ?? BATCH_BYTES_MAX),
      warnings: warningsOf({ replicas, minInsyncReplicas: config.minInsyncReplicas }),
    };
  }

  newBatch(topic: TopicInfo): MessageBatch {
    return new MessageBatch(topic.batchBytesMax);
  }

  lineOverheadBytes(): number {
    return MESSAGE_OVERHEAD_BYTES;
  }

  async send(target: SendTarget, batch: Batch): Promise<void> {
    invariant(batch instanceof MessageBatch, "a kafkajs sink sends the batches it made");
    const { topic, partition } = target;
    const what = `Cannot deliver to partition ${partition} of topic ${topic} on ${this.#options.brokers.join(",")}`;
    const shared = this.#producer(topic);
    const connecting = shared.get();
    try {
      const producer = await connecting;
      const { CompressionTypes } = (await this.#client.get()).library;
      const types = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, zstd: CompressionTypes.ZSTD };
      await producer.send({
        topic,
        acks: ACKS_ALL,
        compression: types[this.#options.compression],
        messages: batch.messages.map((message) => ({ ...message, partition })),
      });
    } catch (error) {
      await dropIfBroken(shared, connecting, error);
      throw toDeliveryError(error, what);
    }
  }

  async close(): Promise<void> {
    const clients = [this.#admin, ...this.#producers.values()].map((shared) => shared.take());
    await Promise.all(clients.map((client) => client && disconnect(client)));
  }

  async #config(topic: string): Promise<{ maxMessageBytes?: number; minInsyncReplicas?: number }> {
    try {
      const { ConfigResourceTypes } = (await this.#client.get()).library;
      return await this.#withAdmin(`Cannot read the limits of topic ${topic}`, async (admin) => {
        const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
        const configNames = ["max.message.bytes", "min.insync.replicas"];
        const answer = await admin.describeConfigs({
          resources: [{ ...resource, configNames }],
          includeSynonyms: false,
        });
        const entries = answer.resources[0]?.configEntries ?? [];
        const values = new Map(
          entries.map(({ configName, configValue }) => [configName, Number(configValue)]),
        );
        return {
          maxMessageBytes: values.get("max.message.bytes") ?? BATCH_BYTES_MAX,
          minInsyncReplicas: values.get("min.insync.replicas") ?? 0,
        };
      });
    } catch (error) {
      this.#deps.logger.debug({ topic, reason: errorMessage(error) }, "The limits of a topic cannot be read");
      return {};
    }
  }

  async #withAdmin<Answer>(what: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const connecting = this.#admin.get();
    try {
      return await question(await connecting);
    } catch (error) {
      await dropIfBroken(this.#admin, connecting, error);
      throw toDeliveryError(error, `${what} on ${this.#options.brokers.join(",")}`);
    }
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = (await this.#client.get()).kafka.admin();
    await admin.connect();
    return admin;
  }

  #producer(topic: string): SharedPromise<Producer> {
    let producer = this.#producers.get(topic);
    if (producer === undefined) {
      producer = new SharedPromise(() => this.#connectProducer());
      this.#producers.set(topic, producer);
    }
    return producer;
  }

  async #connectProducer(): Promise<Producer> {
    const { kafka, library } = await this.#client.get();
    const producer = kafka.producer({
      allowAutoTopicCreation: false,
      createPartitioner: library.Partitioners.DefaultPartitioner,
    });
    producer.on(producer.events.REQUEST, ({ payload }) => {
      if (payload.apiName === "Produce")
        this.#deps.observer?.onRequest?.({ bytes: payload.size, batches: 1 });
    });
    await producer.connect();
    return producer;
  }
}

/**
 * A client that broke may be without a broker for good: the next question gets a new one. What a broker refuses, or we do,
 * leaves it to those who share it.
 */
async function dropIfBroken<Client extends Connected>(
  shared: SharedPromise<Client>,
  used: Promise<Client>,
  error: unknown,
): Promise<void> {
  if (error instanceof DeliveryError || protocolCode(error) !== undefined) return;
  if (shared.forget(used)) await disconnect(used);
}

async function load(options: KafkaOptions): Promise<{ readonly library: Library; readonly kafka: Kafka }> {
  const { default: library } = await import("kafkajs");
  const { CompressionCodecs, CompressionTypes } = library;
  // kafkajs knows zstd by number only.
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) => compress(encoder.buffer, "zstd"),
    decompress: (buffer: Buffer) => decompress(buffer, "zstd"),
  });
  return { library, kafka: new library.Kafka(await clientConfig(options, library)) };
}

async function clientConfig(options: KafkaOptions, library: Library): Promise<KafkaConfig> {
  const { tls, sasl } = options;
  return {
    brokers: [...options.brokers],
    clientId: CLIENT_ID,
    logLevel: library.logLevel.NOTHING,
    requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
    // Retries are ours: only then is it known what became of a batch before the next is sent.
    retry: { retries: 0, initialRetryTime: 100 },
    ...(tls.enabled ? { ssl: await readTlsFiles(tls, tlsFileError) } : {}),
    ...(sasl.mechanism === "none" ? {} : { sasl: saslConfig(sasl.mechanism, sasl) }),
  };
}

function saslConfig(
  mechanism: "plain" | "scram-sha-256" | "scram-sha-512",
  { username, password }: { readonly username: string; readonly password: string },
): SASLOptions {
  return { mechanism, username, password } as SASLOptions;
}

async function partitionsOf(
  admin: Admin,
  topic: string,
): Promise<readonly { readonly replicas: readonly number[] }[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]?.partitions ?? [];
}

async function disconnect(client: Promise<Connected>): Promise<void> {
  // A client that never connected, or lost its broker, has nothing to close.
  await client.then((connected) => connected.disconnect()).catch(() => undefined);
}

/** The Kafka error code that an error of kafkajs is about. */
function protocolCode(error: unknown): number | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === "KafkaJSProtocolError" && "code" in cause && typeof cause.code === "number")
      return cause.code;
  }
  return undefined;
}

function toDeliveryError(error: unknown, what: string): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const code = protocolCode(error);
  if (code !== undefined) return protocolError(code, what);
  const known = errorCode(error);
  return connectionError(
    what,
    known === undefined ? error : Object.assign(new Error(errorMessage(error)), { code: known }),
  );
}
