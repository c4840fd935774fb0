import type { Connection } from "@platformatic/kafka";
import { CodedError, errorMessage } from "../../../base/errors.ts";
import { type HostPort, hostPortText, splitHostPort } from "../../../base/host-port.ts";
import { DeliveryError, type ProducerIdentity } from "../destination.ts";
import type { SinkDeps, SinkOptions } from "../options.ts";
import { Broker } from "./broker.ts";
import type { BrokerSocket } from "./broker-socket.ts";
import { Dialer } from "./dial.ts";
import {
  connectionError,
  LEADER_NOT_AVAILABLE,
  protocolError,
  TOPIC_ALREADY_EXISTS,
  UNKNOWN_TOPIC_OR_PARTITION,
} from "./kafka-errors.ts";
import { TopicQuestions } from "./topic-questions.ts";

const CREATE_TIMEOUT_MS = 10_000;
const RESOURCE_TOPIC = 2;
const CONFIG_KEYS = ["max.message.bytes", "min.insync.replicas"];

/** What a Metadata response says of a topic. */
export interface TopicMetadata {
  readonly partitions: number;
  /** The least number of replicas that any of its partitions has. */
  readonly replicas: number;
}

export interface TopicConfig {
  readonly maxMessageBytes?: number;
  readonly minInsyncReplicas?: number;
}

/** The fields used of a Metadata response. */
interface MetadataAnswer {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly controllerId: number;
  readonly topics: readonly {
    readonly errorCode: number;
    readonly name: string | null;
    readonly partitions: readonly {
      readonly partitionIndex: number;
      readonly leaderId: number;
      readonly replicaNodes: readonly number[];
    }[];
  }[];
}

type TopicAnswer = MetadataAnswer["topics"][number];

type Library = typeof import("@platformatic/kafka");

/** The brokers, who leads what, and the few questions that are asked of any broker. */
export class Cluster {
  readonly #bootstrap: readonly HostPort[];
  readonly #dialer: Dialer;
  readonly #deps: SinkDeps;
  readonly #requestTimeoutMs: number;
  readonly #closing = new AbortController();
  readonly #brokers = new Map<string, Broker>();
  #nodes = new Map<number, HostPort>();
  #controllerId = -1;
  /** Node id of the leader of each partition, by topic; -1 where there is none. */
  readonly #leaders = new Map<string, readonly number[]>();
  readonly #metadata = new TopicQuestions((topics) => this.#askMetadata(topics));
  readonly #configs = new TopicQuestions((topics) => this.#askConfigs(topics));

  constructor(
    options: Pick<SinkOptions, "brokers" | "tls" | "sasl">,
    deps: SinkDeps,
    requestTimeoutMs: number,
  ) {
    this.#bootstrap = options.brokers.map(splitHostPort);
    this.#dialer = new Dialer(options, requestTimeoutMs);
    this.#deps = deps;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** The broker list of the options, for sentences. */
  get name(): string {
    return this.#bootstrap.map(hostPortText).join(",");
  }

  /** The broker that leads a partition, as far as is known. */
  leader(topic: string, partition: number): Broker | undefined {
    const node = this.#leaders.get(topic)?.[partition] ?? -1;
    const address = this.#nodes.get(node);
    return address === undefined ? undefined : this.#broker(address);
  }

  /** Asks anew. Rejects with DeliveryError. */
  metadata(topic: string): Promise<TopicMetadata> {
    return this.#metadata.about(topic);
  }

  /** Limits of a topic; empty when this agent may not read them. */
  async config(topic: string): Promise<TopicConfig> {
    try {
      return await this.#configs.about(topic);
    } catch (error) {
      this.#deps.logger.debug({ topic, reason: errorMessage(error) }, "The limits of a topic cannot be read");
      return {};
    }
  }

  /** Creates a topic with the brokers' defaults; one that exists already is fine. Rejects with DeliveryError. */
  async createTopic(topic: string): Promise<void> {
    const request = { name: topic, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] };
    await this.#ask(async (connection, { createTopicsV4 }) => {
      const { topics } = await answerOf(
        createTopicsV4.api.async(connection, [request], CREATE_TIMEOUT_MS, false),
      );
      const { errorCode = 0, errorMessage: detail } = topics[0] ?? {};
      if (errorCode === 0 || errorCode === TOPIC_ALREADY_EXISTS) return;
      throw protocolError(errorCode, `Cannot create topic ${topic} on ${this.name}`, detail);
    }, this.#controllerId);
  }

  /** An id for a producer without transactions, which no other has (KIP-98). Rejects with DeliveryError. */
  async initProducerId(): Promise<ProducerIdentity> {
    return await this.#ask(async (connection, { initProducerIdV4 }) => {
      const answer = await answerOf(initProducerIdV4.api.async(connection, null, NO_TRANSACTION_MS));
      const { errorCode, producerId, producerEpoch } = answer;
      if (errorCode !== 0) {
        const what = `Cannot get a producer id from ${this.name} (sink.idempotent: false does without)`;
        throw protocolError(errorCode, what);
      }
      return { producerId, epoch: producerEpoch };
    });
  }

  close(): void {
    const reason = new CodedError("ESINKCLOSED", "the sink is closed");
    this.#closing.abort(reason);
    for (const broker of this.#brokers.values()) broker.close();
    this.#metadata.fail(reason);
    this.#configs.fail(reason);
  }

  async #askMetadata(topics: readonly string[]): Promise<(topic: string) => TopicMetadata> {
    const response = await this.#ask((connection, { metadataV8 }) =>
      answerOf(metadataV8.api.async(connection, [...topics], false)),
    );
    this.#remember(response);
    const found = new Map(response.topics.map((answer) => [answer.name, answer]));
    return (topic) => this.#topicMetadata(topic, found.get(topic));
  }

  async #askConfigs(topics: readonly string[]): Promise<(topic: string) => TopicConfig> {
    const { results } = await this.#ask((connection, { describeConfigsV3 }) =>
      answerOf(
        describeConfigsV3.api.async(
          connection,
          topics.map((resourceName) => ({
            resourceType: RESOURCE_TOPIC,
            resourceName,
            configurationKeys: [...CONFIG_KEYS],
          })),
        ),
      ),
    );
    const found = new Map(results.map((result) => [result.resourceName, result]));
    return (topic) => {
      const { errorCode = 0, errorMessage: detail, configs = [] } = found.get(topic) ?? {};
      if (errorCode !== 0) throw protocolError(errorCode, `Cannot read topic ${topic}`, detail);
      const values = new Map(configs.map(({ name, value }) => [name, Number(value)]));
      const maxMessageBytes = values.get("max.message.bytes");
      const minInsyncReplicas = values.get("min.insync.replicas");
      return {
        ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
        ...(minInsyncReplicas === undefined ? {} : { minInsyncReplicas }),
      };
    };
  }

  #remember(response: MetadataAnswer): void {
    this.#nodes = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.#controllerId = response.controllerId;
    for (const { name, partitions } of response.topics) {
      const leaders = new Array<number>(partitions.length).fill(-1);
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId;
      this.#leaders.set(name ?? "", leaders);
    }
  }

  #topicMetadata(topic: string, found: TopicAnswer | undefined): TopicMetadata {
    const errorCode = found?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION;
    if (found === undefined || errorCode !== 0) {
      throw protocolError(errorCode, `Cannot find topic ${topic} on ${this.name}`);
    }
    if (found.partitions.length === 0) {
      throw protocolError(LEADER_NOT_AVAILABLE, `Topic ${topic} on ${this.name} has no partitions yet`);
    }
    const replicas = Math.min(...found.partitions.map(({ replicaNodes }) => replicaNodes.length));
    return { partitions: found.partitions.length, replicas };
  }

  /** Asks one broker after another until one answers: the preferred one, those with a connection, the known, the first ones. */
  async #ask<Answer>(
    question: (connection: Connection, library: Library) => Promise<Answer>,
    preferredNode = -1,
  ): Promise<Answer> {
    const library = await import("@platformatic/kafka");
    const known = [...this.#nodes.values()].map((address) => this.#broker(address));
    const preferred = this.#nodes.get(preferredNode);
    const candidates = new Set([
      ...(preferred === undefined ? [] : [this.#broker(preferred)]),
      ...known.filter(({ isConnected }) => isConnected),
      ...known,
      ...this.#bootstrap.map((address) => this.#broker(address)),
    ]);
    const failures: DeliveryError[] = [];
    let isAnswered = false;
    for (const broker of candidates) {
      this.#closing.signal.throwIfAborted();
      let socket: BrokerSocket | undefined;
      try {
        socket = await broker.socket();
        return await question(socket.connection, library);
      } catch (error) {
        const what = `Kafka broker ${hostPortText(broker.address)} gave no answer`;
        const failure = error instanceof DeliveryError ? error : connectionError(what, error);
        const isRefusal = failure === error && socket !== undefined;
        // Any other broker would refuse it as well.
        if (isRefusal && failure.remedy === "slow") throw failure;
        isAnswered ||= isRefusal;
        failures.push(failure);
      }
    }
    const what = isAnswered ? "No answer that helps from any Kafka broker" : "Cannot reach any Kafka broker";
    throw summary(failures, `${what} of ${this.name}`);
  }

  #broker(address: HostPort): Broker {
    const key = hostPortText(address);
    let broker = this.#brokers.get(key);
    if (broker === undefined) {
      broker = new Broker({
        address,
        dialer: this.#dialer,
        deps: this.#deps,
        requestTimeoutMs: this.#requestTimeoutMs,
        signal: this.#closing.signal,
      });
      this.#brokers.set(key, broker);
    }
    return broker;
  }
}

/** A transaction's timeout, where there is none: as the Java client fills it in. */
const NO_TRANSACTION_MS = 0x7fff_ffff;

/** The library throws an answer that holds an error code; here the codes are looked at one by one. */
async function answerOf<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AggregateError && "response" in error && error.response !== undefined) {
      return error.response as Answer;
    }
    throw error;
  }
}

function summary(failures: readonly DeliveryError[], what: string): DeliveryError {
  const [first] = failures;
  const why = [...new Set(failures.map(({ message }) => message))].join("; ");
  if (first !== undefined && failures.length === 1) return first;
  return new DeliveryError(first?.code ?? "EBROKERS", `${what}: ${why}`, {
    remedy: failures.some(({ remedy }) => remedy === "slow") ? "slow" : "soon",
    isTopicStale: true,
  });
}
