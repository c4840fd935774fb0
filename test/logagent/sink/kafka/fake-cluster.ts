import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Reader, Writer } from "@platformatic/kafka";
import type { ProducerStamp } from "../../../../logagent/sink/destination.ts";
import "../../../support/kafkajs-zstd.ts";
import { NONE, SequenceLog } from "./sequence-log.ts";

const require = createRequire(import.meta.url);
/** kafkajs's decoder of record batches, which shares no code with our encoder. */
const decodeBatch: (decoder: object) => Promise<DecodedBatch> =
  require("kafkajs/src/protocol/recordBatch/v0/decoder");
const Decoder: new (bytes: Buffer) => object = require("kafkajs/src/protocol/decoder");

interface DecodedBatch {
  readonly records: readonly { readonly value: Buffer }[];
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
}

/** A batch of a Produce request, as a script sees it before the broker takes it. */
export interface ProduceCall {
  readonly node: number;
  readonly topic: string;
  readonly partition: number;
  readonly stamp: ProducerStamp;
  readonly lines: readonly string[];
}

/**
 * What becomes of it: a code is answered without a look at the log, or after appending; an answer can be lost with its
 * connection, or never come; undefined is what a broker does by itself.
 */
export type Fate =
  | undefined
  | { readonly code: number; readonly appended?: boolean }
  | { readonly lost: "request" | "answer" | "silently" };

interface Partition {
  leader: number;
  log: SequenceLog<string>;
}

interface Node {
  readonly server: Server;
  readonly sockets: Set<Socket>;
}

const API = {
  produce: 0,
  metadata: 3,
  saslHandshake: 17,
  apiVersions: 18,
  initProducerId: 22,
  configs: 32,
  login: 36,
};
const UNKNOWN_TOPIC_OR_PARTITION = 3;
const NOT_LEADER_OR_FOLLOWER = 6;
const TOPIC_AUTHORIZATION_FAILED = 29;
const SASL_AUTHENTICATION_FAILED = 58;

/**
 * Brokers that speak Kafka's protocol over TCP, hold logs by Kafka's sequence rules, and do what a script says: for what a
 * real broker cannot be made to do.
 */
export class FakeCluster implements AsyncDisposable {
  /** Asked for each batch that arrives at a broker that leads its partition. */
  script: (call: ProduceCall) => Fate | Promise<Fate> = () => undefined;
  /** Of every topic. */
  maxMessageBytes = 1_048_588;
  /** Topics whose limits may not be read. */
  readonly unreadableConfigs = new Set<string>();
  /** The topics of each DescribeConfigs request. */
  readonly configRequests: (readonly string[])[] = [];
  /** In each Produce response. */
  throttleMs = 0;
  /** Code of the answers to InitProducerId. */
  initProducerCode = 0;
  /** Who was asked for a producer id. */
  readonly initProducerNodes = new Set<number>();
  /** The one password that PLAIN logins are taken with; undefined: no login is asked for. */
  password: string | undefined;
  /** Batches that arrived, in order. */
  readonly calls: ProduceCall[] = [];
  /** Arrival of each Produce request, and what was on its way then, itself included. */
  readonly requests: { readonly atMs: number; readonly pending: number }[] = [];
  readonly #topics = new Map<string, Partition[]>();
  readonly #nodes: Node[] = [];
  #lastProducerId = 1000n;

  static async start(nodes = 1): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    for (let i = 0; i < nodes; i++) {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => cluster.#serve(socket, i, sockets));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      cluster.#nodes.push({ server, sockets });
    }
    return cluster;
  }

  get brokers(): readonly string[] {
    return this.#nodes.map(({ server }) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  createTopic(topic: string, partitions = 1): void {
    const count = this.#nodes.length;
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, (_, i) => ({ leader: i % count, log: new SequenceLog<string>() })),
    );
  }

  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  addPartitions(topic: string, count: number): void {
    for (let i = 0; i < count; i++) this.#topics.get(topic)?.push({ leader: 0, log: new SequenceLog() });
  }

  log(topic: string, partition = 0): SequenceLog<string> {
    return this.#partition(topic, partition).log;
  }

  lead(topic: string, partition: number, node: number): void {
    this.#partition(topic, partition).leader = node;
  }

  /** Another log in its place, as after an unclean election. */
  setLog(topic: string, partition: number, log: SequenceLog<string>): void {
    this.#partition(topic, partition).log = log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server, sockets } of this.#nodes) {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    }
  }

  #partition(topic: string, partition: number): Partition {
    const found = this.#topics.get(topic)?.[partition];
    if (found === undefined) throw new Error(`No partition ${partition} of topic ${topic}`);
    return found;
  }

  #serve(socket: Socket, node: number, sockets: Set<Socket>): void {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    let received = Buffer.alloc(0);
    let last: Promise<void> = Promise.resolve();
    let pending = 0;
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const end = 4 + received.readInt32BE(0);
        const frame = received.subarray(4, end);
        received = received.subarray(end);
        pending += 1;
        if (frame.readInt16BE(0) === API.produce) this.requests.push({ atMs: performance.now(), pending });
        // One after another, as a broker does with those of a connection.
        last = last.then(async () => {
          await this.#answer(frame, node, socket);
          pending -= 1;
        });
      }
    });
  }

  async #answer(frame: Buffer, node: number, socket: Socket): Promise<void> {
    const key = frame.readInt16BE(0);
    const id = frame.subarray(4, 8);
    const body = frame.subarray(10 + Math.max(0, frame.readInt16BE(8)));
    const answer = await this.#dispatch(key, body, { node, socket });
    if (answer === undefined || socket.destroyed) return;
    const payload = Buffer.concat([id, answer.buffer]);
    const size = Buffer.alloc(4);
    size.writeInt32BE(payload.length);
    socket.write(Buffer.concat([size, payload]));
  }

  async #dispatch(
    key: number,
    body: Buffer,
    at: { readonly node: number; readonly socket: Socket },
  ): Promise<Writer | undefined> {
    switch (key) {
      case API.produce:
        return await this.#produce(body, at);
      case API.metadata:
        return this.#metadata(body);
      case API.configs:
        return this.#topicConfigs(body);
      case API.initProducerId:
        return this.#initProducerId(at.node);
      case API.apiVersions:
        // SaslAuthenticate 0 is the only one that is asked about.
        return Writer.create()
          .appendInt16(0)
          .appendInt32(1)
          .appendInt16(API.login)
          .appendInt16(0)
          .appendInt16(0)
          .appendInt32(0);
      case API.saslHandshake:
        return Writer.create()
          .appendInt16(0)
          .appendArray(["PLAIN"], (w, name) => w.appendString(name, false), false, false);
      case API.login:
        return this.#login(body);
      default:
        throw new Error(`No request of key ${key} is expected`);
    }
  }

  #login(body: Buffer): Writer {
    const isRight = body.subarray(4).toString().split("\0")[2] === this.password;
    return Writer.create()
      .appendInt16(isRight ? NONE : SASL_AUTHENTICATION_FAILED)
      .appendString(isRight ? null : "Authentication failed: Invalid username or password", false)
      .appendBytes(Buffer.alloc(0), false);
  }

  #topicConfigs(body: Buffer): Writer {
    const names = Reader.from(body).readArray(
      (r) => {
        r.readInt8(); // a topic
        const name = r.readString(false);
        r.readArray((key) => key.readString(false), false, false);
        return name;
      },
      false,
      false,
    );
    this.configRequests.push(names);
    return Writer.create()
      .appendInt32(0)
      .appendArray(names, (w, name) => this.#appendTopicConfig(w, name), false, false);
  }

  #appendTopicConfig(w: Writer, name: string): void {
    const isRefused = this.unreadableConfigs.has(name);
    w.appendInt16(isRefused ? TOPIC_AUTHORIZATION_FAILED : NONE)
      .appendString(null, false)
      .appendInt8(2)
      .appendString(name, false)
      .appendArray(
        isRefused ? [] : [String(this.maxMessageBytes)],
        (one, value) =>
          one
            .appendString("max.message.bytes", false)
            .appendString(value, false)
            .appendBoolean(false)
            .appendInt8(5)
            .appendBoolean(false)
            .appendInt32(0)
            .appendInt8(0)
            .appendString(null, false),
        false,
        false,
      );
  }

  #initProducerId(node: number): Writer {
    this.initProducerNodes.add(node);
    this.#lastProducerId += 1n;
    return Writer.create()
      .appendInt8(0)
      .appendInt32(0)
      .appendInt16(this.initProducerCode)
      .appendInt64(this.#lastProducerId)
      .appendInt16(0)
      .appendInt8(0);
  }

  #metadata(body: Buffer): Writer {
    const asked = Reader.from(body).readArray((r) => r.readString(false), false, false);
    const nodes = this.#nodes.map(({ server }, id) => ({ id, port: (server.address() as AddressInfo).port }));
    return Writer.create()
      .appendInt32(0)
      .appendArray(
        nodes,
        (w, { id, port }) =>
          w.appendInt32(id).appendString("127.0.0.1", false).appendInt32(port).appendString(null, false),
        false,
        false,
      )
      .appendString("fake", false)
      .appendInt32(0)
      .appendArray(
        asked,
        (w, topic) => {
          const partitions = this.#topics.get(topic);
          w.appendInt16(partitions === undefined ? UNKNOWN_TOPIC_OR_PARTITION : NONE)
            .appendString(topic, false)
            .appendBoolean(false)
            .appendArray(partitions ?? [], appendPartition, false, false)
            .appendInt32(0);
        },
        false,
        false,
      )
      .appendInt32(0);
  }

  async #produce(
    body: Buffer,
    at: { readonly node: number; readonly socket: Socket },
  ): Promise<Writer | undefined> {
    const reader = Reader.from(body.subarray(1)); // no tags
    reader.readNullableString();
    reader.readInt16(); // acks
    reader.readInt32(); // timeout
    const topics = reader.readArray((r) => ({
      topic: r.readString(),
      partitions: r.readArray((p) => ({ partition: p.readInt32(), records: p.readBytes() })),
    }));
    const results: { topic: string; partition: number; code: number }[] = [];
    for (const { topic, partitions } of topics) {
      for (const { partition, records } of partitions) {
        const code = await this.#take({ topic, partition, node: at.node, ...(await decode(records)) });
        if (code === "silently") return undefined;
        if (code === "cut") return void at.socket.destroy();
        results.push({ topic, partition, code });
      }
    }
    return produceResponse(results, this.throttleMs);
  }

  async #take(call: ProduceCall): Promise<number | "cut" | "silently"> {
    this.calls.push(call);
    const partition = this.#topics.get(call.topic)?.[call.partition];
    if (partition === undefined) return UNKNOWN_TOPIC_OR_PARTITION;
    if (partition.leader !== call.node) return NOT_LEADER_OR_FOLLOWER;
    const fate = await this.script(call);
    if (fate !== undefined && "lost" in fate && fate.lost === "request") return "cut";
    if (fate !== undefined && "code" in fate && fate.appended !== true) return fate.code;
    const code = partition.log.append(call.stamp, call.lines);
    if (code !== NONE || fate === undefined) return code;
    if ("code" in fate) return fate.code;
    return fate.lost === "silently" ? "silently" : "cut";
  }
}

async function decode(records: Buffer): Promise<Pick<ProduceCall, "stamp" | "lines">> {
  const batch = await decodeBatch(new Decoder(records));
  const stamp = {
    producerId: BigInt(batch.producerId),
    epoch: batch.producerEpoch,
    baseSequence: batch.firstSequence,
  };
  return { stamp, lines: batch.records.map(({ value }) => value.toString()) };
}

function appendPartition(w: Writer, { leader }: Partition, index: number): void {
  w.appendInt16(NONE).appendInt32(index).appendInt32(leader).appendInt32(0);
  // Replicas, those in sync, those offline.
  for (const nodes of [[leader], [leader], []])
    w.appendArray(nodes, (one, node) => one.appendInt32(node), false, false);
}

function produceResponse(
  results: readonly { readonly topic: string; readonly partition: number; readonly code: number }[],
  throttleMs: number,
): Writer {
  return Writer.create()
    .appendInt8(0)
    .appendArray([...results], (w, { topic, partition, code }) =>
      w.appendString(topic).appendArray([code], (p) =>
        p
          .appendInt32(partition)
          .appendInt16(code)
          .appendInt64(-1n)
          .appendInt64(-1n)
          .appendInt64(-1n)
          .appendArray([], () => undefined)
          .appendString(null),
      ),
    )
    .appendInt32(throttleMs)
    .appendTaggedFields();
}
