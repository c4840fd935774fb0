import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import kafkajs from "kafkajs";
import { startKafka } from "../../test/support/kafka.ts";
import "../../test/support/kafkajs-zstd.ts";
import { temporaryFolder } from "../../test/support/process.ts";

/** Where the agent's lines go, and who reads them there while they come. */
export interface ReadSink extends AsyncDisposable {
  /** The section of the agent's config. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Calls back for each line from now on. */
  read(onLine: (text: string) => void): Promise<void>;
}

const { Kafka, logLevel } = kafkajs;
const FETCH_WAIT_MS = 100;

/** A real broker, a partition a topic; read by kafkajs, which shares no code with the agent's sink. */
export async function kafkaSink(topics: readonly string[]): Promise<ReadSink> {
  const server = await startKafka({ jvm: "full", heapMiB: 1024 });
  for (const topic of topics) await server.createTopic(topic, { partitions: 1 });
  const kafka = new Kafka({
    brokers: [...server.brokers],
    clientId: "many-files",
    logLevel: logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: "many-files", maxWaitTimeInMs: FETCH_WAIT_MS });
  return {
    section: { type: "kafka", brokers: server.brokers },
    read: async (onLine) => {
      await consumer.connect();
      await consumer.subscribe({ topics: [...topics], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          for (const { value } of batch.messages) onLine(value?.toString("latin1") ?? "");
        },
      });
    },
    [Symbol.asyncDispose]: async () => {
      await consumer.disconnect();
      await server.stop();
    },
  };
}

const FILE_POLL_MS = 50;
const READ_BYTES = 1024 * 1024;

/** Files of the file sink, a topic each, read as they grow. */
export async function fileSink(): Promise<ReadSink> {
  const folder = temporaryFolder("out");
  const files = new Map<string, { readonly fd: number; offset: number; rest: string }>();
  const bytes = Buffer.alloc(READ_BYTES);
  let timer: NodeJS.Timeout | undefined;
  const readGrowth = (onLine: (text: string) => void) => {
    for (const name of readdirSync(folder).filter((each) => !files.has(each))) {
      files.set(name, { fd: openSync(join(folder, name), "r"), offset: 0, rest: "" });
    }
    for (const file of files.values()) {
      for (;;) {
        const got = readSync(file.fd, bytes, 0, READ_BYTES, file.offset);
        file.offset += got;
        const lines = (file.rest + bytes.toString("latin1", 0, got)).split("\n");
        file.rest = lines.pop() ?? "";
        lines.forEach(onLine);
        if (got < READ_BYTES) break;
      }
    }
  };
  return {
    section: { type: "file", path: folder },
    read: async (onLine) => {
      timer = setInterval(() => readGrowth(onLine), FILE_POLL_MS);
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      for (const { fd } of files.values()) closeSync(fd);
    },
  };
}
