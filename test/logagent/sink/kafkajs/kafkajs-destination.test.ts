import assert from "node:assert/strict";
import { mock, suite, test } from "node:test";
import kafkajs from "kafkajs";
import { KafkajsDestination } from "../../../../logagent/sink/kafkajs/kafkajs-destination.ts";
import { MessageBatch } from "../../../../logagent/sink/kafkajs/message-batch.ts";
import { RecordedFile, testDeps } from "../recorded-file.ts";
import { sinkOptions } from "../sink-options.ts";

const UNKNOWN_TOPIC_OR_PARTITION = 3;
const TOPIC_AUTHORIZATION_FAILED = 29;
const COORDINATOR_NOT_AVAILABLE = 15;

function refusal(code: number): Error {
  return Object.assign(new Error("refused"), { name: "KafkaJSProtocolError", code });
}

/** A client of the library, as far as the driver uses it, and what became of it. */
interface FakeClient {
  isConnected: boolean;
}

/** Brokers without a network: what the library's clients do is what these say. */
class FakeBrokers implements Disposable {
  readonly topics = new Set<string>();
  readonly admins: FakeClient[] = [];
  readonly producers: FakeClient[] = [];
  /** What connecting fails with; once. */
  connectFailure: Error | undefined;
  /** What becomes of a question about a topic; undefined: it is answered. */
  question: (() => Promise<never>) | undefined;
  configFailure: Error | undefined;
  sent = 0;
  readonly #mocks = [
    mock.method(kafkajs.Kafka.prototype, "admin", () => this.#admin() as never),
    mock.method(kafkajs.Kafka.prototype, "producer", () => this.#producer() as never),
  ];

  [Symbol.dispose](): void {
    for (const { mock: each } of this.#mocks) each.restore();
  }

  destination(): KafkajsDestination {
    return new KafkajsDestination(sinkOptions({ brokers: ["k:9092"] }), testDeps());
  }

  #client(clients: FakeClient[]) {
    const client = { isConnected: false };
    clients.push(client);
    return {
      connect: async () => {
        const failure = this.connectFailure;
        this.connectFailure = undefined;
        if (failure !== undefined) throw failure;
        client.isConnected = true;
      },
      disconnect: async () => {
        client.isConnected = false;
      },
      assertConnected: () => assert.ok(client.isConnected, "it is connected while it is used"),
    };
  }

  #admin() {
    const client = this.#client(this.admins);
    return {
      ...client,
      fetchTopicMetadata: async ({ topics: [topic = ""] }: { readonly topics: readonly string[] }) => {
        await this.question?.();
        await new Promise((resolve) => setImmediate(resolve));
        client.assertConnected();
        if (!this.topics.has(topic)) throw refusal(UNKNOWN_TOPIC_OR_PARTITION);
        return { topics: [{ name: topic, partitions: [{ replicas: [1, 2] }] }] };
      },
      describeConfigs: async () => {
        client.assertConnected();
        if (this.configFailure !== undefined) throw this.configFailure;
        return { resources: [] };
      },
    };
  }

  #producer() {
    const client = this.#client(this.producers);
    return {
      ...client,
      events: {},
      on: () => undefined,
      send: async () => {
        client.assertConnected();
        this.sent += 1;
      },
    };
  }
}

async function send(destination: KafkajsDestination, topic: string): Promise<void> {
  const batch = new MessageBatch(1_024);
  batch.append(new RecordedFile("f").next(topic, ["x"]), { first: 0, lineOverheadBytes: 0 });
  await destination.send({ topic, partition: 0 }, batch);
}

suite("KafkajsDestination", () => {
  test("describe() of a missing topic, or of one whose limits may not be read, leaves the client of the others", async () => {
    using brokers = new FakeBrokers();
    const { topics, admins } = brokers;
    const destination = brokers.destination();
    topics.add("there");
    const [missing, there] = await Promise.allSettled([
      destination.describe("missing"),
      destination.describe("there"),
    ]);
    assert.equal(missing.status, "rejected");
    assert.equal(missing.reason.code, "UNKNOWN_TOPIC_OR_PARTITION");
    assert.equal(there.status, "fulfilled");
    brokers.configFailure = refusal(TOPIC_AUTHORIZATION_FAILED);
    assert.equal((await destination.describe("there")).partitions, 1);
    assert.deepEqual(admins, [{ isConnected: true }]);
    await destination.close();
    assert.deepEqual(admins, [{ isConnected: false }]);
  });

  test("describe() that fails late leaves the client that took its client's place", async () => {
    using brokers = new FakeBrokers();
    const destination = brokers.destination();
    brokers.topics.add("there");
    const late = Promise.withResolvers<never>();
    const asked = Promise.withResolvers<void>();
    brokers.question = () => {
      asked.resolve();
      return late.promise;
    };
    const first = destination.describe("there");
    await asked.promise;
    brokers.question = () => Promise.reject(new Error("broken"));
    await assert.rejects(destination.describe("there"), { message: /broken/ });
    brokers.question = undefined;
    await destination.describe("there");
    late.reject(new Error("broken as well"));
    await assert.rejects(first, { message: /broken as well/ });
    await destination.describe("there");
    assert.deepEqual(brokers.admins, [{ isConnected: false }, { isConnected: true }]);
    await destination.close();
  });

  test("send() connects anew after a broker refused the connection", async () => {
    using brokers = new FakeBrokers();
    const destination = brokers.destination();
    brokers.connectFailure = refusal(COORDINATOR_NOT_AVAILABLE);
    await assert.rejects(send(destination, "t"), { code: "COORDINATOR_NOT_AVAILABLE" });
    await send(destination, "t");
    assert.equal(brokers.sent, 1);
    await destination.close();
    assert.deepEqual(brokers.producers, [{ isConnected: false }, { isConnected: false }]);
  });
});
