import type { StoreClient } from "../../../store/client/client.ts";
import { type KafkaServer, startKafka, uniqueTopic } from "../../support/kafka.ts";
import { temporaryFolder } from "../../support/process.ts";
import { CONFIG_KEY, openClient, type SceneStore, startLogstore } from "../../support/scene.ts";

/** What rounds share: a broker that is ours to stop, and a store. */
export class RotationBed implements AsyncDisposable {
  readonly kafka: KafkaServer;
  readonly store: SceneStore;
  readonly #client: StoreClient;

  private constructor(kafka: KafkaServer, store: SceneStore) {
    this.kafka = kafka;
    this.store = store;
    this.#client = openClient(store.endpoint);
  }

  static async start(): Promise<RotationBed> {
    // A folder of our own stays when the broker is stopped.
    const kafka = await startKafka({ own: true, dataDir: temporaryFolder("rotation-kafka") });
    try {
      return new RotationBed(kafka, await startLogstore());
    } catch (error) {
      await kafka.stop();
      throw error;
    }
  }

  async newTopic(): Promise<string> {
    const topic = uniqueTopic("rotation");
    await this.kafka.createTopic(topic, { partitions: 2 });
    return topic;
  }

  async putConfig(entries: readonly { readonly path: string; readonly topic: string }[]): Promise<void> {
    await this.#client.put(CONFIG_KEY, JSON.stringify(entries), { signal: AbortSignal.timeout(20_000) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.store[Symbol.asyncDispose]();
    await this.kafka.stop();
  }
}
