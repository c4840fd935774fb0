import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import kafkajs, { type Admin } from "kafkajs";
import { ensureKafka, type KafkaPart } from "../../deploy/parts.js";
import { eventually, freePort, type RunningProcess, run, startProcess, temporaryFolder } from "./process.ts";

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
/** Set by test/support/global.ts for the test files of one run. */
const SHARED_BROKERS_VARIABLE = "TEST_KAFKA_BROKERS";

export interface KafkaServer extends AsyncDisposable {
  readonly brokers: readonly string[];
  createTopic(name: string, options?: TopicOptions): Promise<void>;
  /** SIGTERM, and SIGKILL after a limit. The data folder stays if it was given, and goes if it was made for this server. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays, for restart(). */
  kill(): Promise<void>;
  /** Starts it again on the same port and data, after stopping it if it still runs. */
  restart(): Promise<void>;
}

export interface TopicOptions {
  readonly partitions?: number;
  /** Settings of the topic, by Kafka's names: `max.message.bytes`. */
  readonly configs?: Readonly<Record<string, string>>;
}

export interface KafkaOptions {
  readonly dataDir?: string;
  readonly port?: number;
  readonly signal?: AbortSignal;
  /** A broker of our own even where KAFKA_BROKERS names another: for a test that kills it. */
  readonly own?: boolean;
  /** More settings of the broker, by Kafka's names. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly heapMiB?: number;
  /** `quick` starts soonest; `full` is for measurements. */
  readonly jvm?: "quick" | "full";
}

/** Starts a broker and waits until it serves. With KAFKA_BROKERS set, that one is used instead, unless `own` is asked for. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const given = process.env.KAFKA_BROKERS;
  if (given && options.own !== true) return new ForeignKafka(given, "KAFKA_BROKERS");
  const part = await ensureKafka();
  const dataDir = options.dataDir ?? temporaryFolder("kafka");
  mkdirSync(dataDir, { recursive: true });
  const server = new OwnKafka({
    part,
    options,
    dataDir,
    port: options.port ?? (await freePort()),
    controllerPort: await freePort(),
  });
  await server.restart();
  return server;
}

/**
 * The broker that all test files of one `npm test` use. A test file that runs alone gets one of its own, which ends with it.
 * Give topics names that no other file uses, and do not stop it.
 */
export function sharedKafka(): Promise<KafkaServer> {
  shared ??= findShared();
  return shared;
}
let shared: Promise<KafkaServer> | undefined;

/** Tells the test files that will be started where the shared broker is. */
export function publishSharedKafka(server: KafkaServer): void {
  process.env[SHARED_BROKERS_VARIABLE] = server.brokers.join(",");
}

/** A topic name that no other test uses. */
export function uniqueTopic(prefix: string): string {
  uniqueTopics += 1;
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${uniqueTopics}`;
}
let uniqueTopics = 0;

async function findShared(): Promise<KafkaServer> {
  const published = process.env[SHARED_BROKERS_VARIABLE];
  return published ? new ForeignKafka(published, SHARED_BROKERS_VARIABLE) : startKafka();
}

class ForeignKafka implements KafkaServer {
  readonly brokers: readonly string[];
  readonly #variable: string;

  constructor(brokers: string, variable: string) {
    this.brokers = brokers.split(",").map((name) => name.trim());
    this.#variable = variable;
  }

  createTopic(name: string, options: TopicOptions = {}): Promise<void> {
    return createTopic(this.brokers, name, options);
  }

  async stop(): Promise<void> {
    // It runs on: others use it.
  }

  kill(): Promise<void> {
    return Promise.reject(
      new Error(`The broker of ${this.#variable} is not ours to kill: use startKafka({ own: true })`),
    );
  }

  restart(): Promise<void> {
    return Promise.reject(
      new Error(`The broker of ${this.#variable} is not ours to restart: use startKafka({ own: true })`),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

interface OwnParts {
  readonly part: KafkaPart;
  readonly options: KafkaOptions;
  readonly dataDir: string;
  readonly port: number;
  readonly controllerPort: number;
}

class OwnKafka implements KafkaServer {
  readonly brokers: readonly string[];
  readonly #parts: OwnParts;
  readonly #container: string;
  #process: RunningProcess | undefined;

  constructor(parts: OwnParts) {
    this.#parts = parts;
    this.brokers = [`127.0.0.1:${parts.port}`];
    this.#container = `logagent-kafka-${process.pid}-${parts.port}`;
  }

  createTopic(name: string, options: TopicOptions = {}): Promise<void> {
    return createTopic(this.brokers, name, options);
  }

  async restart(): Promise<void> {
    await this.#process?.stop();
    const { dataDir, part, options } = this.#parts;
    const settings = path.join(dataDir, "server.properties");
    writeFileSync(settings, properties(this.#parts));
    if (!existsSync(path.join(dataDir, "data", "meta.properties"))) await this.#format(settings);
    const [command, args] = this.#command("kafka.Kafka", [settings]);
    this.#process = await startProcess(command, args, {
      readyLine: "Kafka Server started",
      readyTimeoutMs: READY_TIMEOUT_MS,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      logFile: path.join(dataDir, "kafka.log"),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(part.kind === "image"
        ? { sendKill: () => void execFileSync("docker", ["kill", this.#container]) }
        : {}),
    });
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    if (this.#parts.options.dataDir === undefined)
      rmSync(this.#parts.dataDir, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #format(settings: string): Promise<void> {
    const [command, args] = this.#command("kafka.tools.StorageTool", [
      "format",
      "--cluster-id",
      "bG9nYWdlbnQtdGVzdHMtMQ",
      "--config",
      settings,
    ]);
    const { code, stdout, stderr } = await run(command, args, { timeoutMs: READY_TIMEOUT_MS });
    if (code !== 0) throw new Error(`Kafka's storage cannot be formatted: code ${code}\n${stdout}${stderr}`);
  }

  #command(main: string, args: readonly string[]): [string, string[]] {
    const { part, options, dataDir } = this.#parts;
    const heapMiB = options.heapMiB ?? (options.jvm === "full" ? 1024 : 512);
    const heap = `-Xmx${heapMiB}m`;
    const quick =
      options.jvm === "full" ? [] : ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
    if (part.kind === "jars") {
      return ["java", [heap, ...quick, "-cp", path.join(part.folder, "*"), main, ...args]];
    }
    const docker = [
      "run",
      "--rm",
      "--name",
      this.#container,
      "--network",
      "host",
      "--volume",
      `${dataDir}:${dataDir}`,
    ];
    const user =
      process.getuid === undefined ? [] : ["--user", `${process.getuid()}:${process.getgid?.() ?? 0}`];
    const java = ["--env", `KAFKA_HEAP_OPTS=${heap}`, "--env", `LOG_DIR=${dataDir}`];
    const entry = ["--entrypoint", "/opt/kafka/bin/kafka-run-class.sh", part.image, main, ...args];
    return ["docker", [...docker, ...user, ...java, ...entry]];
  }
}

/** One KRaft broker that is its own controller, with what makes it wait in production set to nothing. */
function properties({ dataDir, port, controllerPort, options }: OwnParts): string {
  const all: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "log.dirs": path.join(dataDir, "data"),
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    // A broker that was killed may not come back before its old session is over.
    "broker.session.timeout.ms": "2500",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    ...options.settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

async function createTopic(brokers: readonly string[], name: string, options: TopicOptions): Promise<void> {
  const { partitions = 1, configs = {} } = options;
  await withAdmin(brokers, async (admin) => {
    const created = await admin.createTopics({
      // Its own wait ends with an error when the broker has not heard of the topic yet.
      waitForLeaders: false,
      topics: [
        {
          topic: name,
          numPartitions: partitions,
          replicationFactor: 1,
          configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
    });
    if (!created) throw new Error(`Topic ${name} cannot be created: it exists already`);
    // Metadata names a leader before it leads; offsets are told by one that does.
    await eventually(async () => {
      const offsets = await admin.fetchTopicOffsets(name);
      if (offsets.length < partitions) throw new Error(`Topic ${name} has ${offsets.length} leaders`);
    });
  });
}

/** Runs something with kafkajs's admin client, and disconnects it. */
export async function withAdmin<T>(
  brokers: readonly string[],
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = new kafkajs.Kafka({
    brokers: [...brokers],
    clientId: "logagent-tests",
    logLevel: kafkajs.logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
