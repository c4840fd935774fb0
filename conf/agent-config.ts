import { z } from "zod";
import { LOG_LEVELS } from "../base/log.ts";
import { absolutePath } from "./absolute-path.ts";

/** `host:port`; an IPv6 address stands in brackets. */
const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/;
const hostPort = z.string().refine(isHostPort, "host:port, with a port of 0 to 65535");
const keyTemplate = z
  .string()
  .max(512)
  .refine((key) => key.split("%s").length === 2, "a key with %s once, which the identity takes the place of");

const tlsFiles = {
  ca: absolutePath.optional().describe("PEM file of the authorities to trust; absent: the system's."),
  cert: absolutePath.optional().describe("PEM file of the client's certificate."),
  key: absolutePath.optional().describe("PEM file of the client's key."),
};

/** Where the collect config is, and where the status goes. */
const storeSchema = z.strictObject({
  endpoints: z
    .array(z.string().refine(isEndpoint, "http://host:port or https://host:port"))
    .min(1)
    .max(64)
    .default(["http://127.0.0.1:2379"])
    .describe("Members of the store (or of an etcd cluster); any of them that answers is used."),
  key: keyTemplate
    .default("/logagent/%s/collect_config")
    .describe("Key of the collect config; %s is the identity."),
  statusKey: keyTemplate
    .default("/logagent/%s/status")
    .describe(
      "Key that holds this agent's status for as long as it lives; a second agent of the identity uses one below it.",
    ),
  tls: z.strictObject(tlsFiles).prefault({}).describe("For https endpoints."),
  username: z.string().default("").describe("Empty: no login."),
  password: z.string().default("").describe("Better set by its variable than in the file."),
});

const tlsSchema = z.strictObject({
  enabled: z.boolean().default(false).describe("Speak TLS to the brokers."),
  ...tlsFiles,
});

const saslSchema = z
  .strictObject({
    mechanism: z
      .enum(["none", "plain", "scram-sha-256", "scram-sha-512"])
      .default("none")
      .describe("How to log in to the brokers: none, plain, scram-sha-256 or scram-sha-512."),
    username: z.string().default("").describe("Used unless the mechanism is none."),
    password: z.string().default("").describe("Better set by its variable than in the file."),
  })
  .refine(({ mechanism, username }) => mechanism === "none" || username !== "", {
    path: ["username"],
    error: "a user to log in as, or mechanism: none",
  });

/** Where the lines go. */
const sinkSchema = z.strictObject({
  type: z
    .enum(["kafka", "kafkajs", "file", "stdout"])
    .default("kafka")
    .describe("kafka, kafkajs (a second driver for it), file, or stdout."),
  brokers: z
    .array(hostPort)
    .min(1)
    .max(256)
    .default(["127.0.0.1:9092"])
    .describe("Kafka brokers to start from; the others are learned from them."),
  compression: z
    .enum(["none", "zstd", "gzip"])
    .default("zstd")
    .describe("Of the record batches: none, zstd or gzip."),
  createTopics: z
    .boolean()
    .default(false)
    .describe("Create a topic that does not exist. Off: a typo in a config must not become a topic."),
  idempotent: z
    .boolean()
    .default(true)
    .describe(
      "Number the batches (type kafka), so that brokers drop repeats, and several of a partition are on their way at one time.",
    ),
  maxDeadLetterBytes: z
    .int()
    .min(0)
    .max(1024 ** 4)
    .default(64 * 1024 * 1024)
    .describe(
      "Limit of a topic's file in dataDir/dead-letters, where lines are kept that are refused for good; at it the topic waits.",
    ),
  path: absolutePath
    .default("/var/lib/logagent/out")
    .describe("Folder of the file sink: <topic>.log in it holds the lines of a topic."),
  tls: tlsSchema.prefault({}),
  sasl: saslSchema.prefault({}),
});

/** Memory for lines on their way unless the config says otherwise. */
export const MAX_IN_FLIGHT_BYTES_DEFAULT = 64 * 1024 * 1024;
/** Files held open unless the config says otherwise, where the process may open more. */
export const OPEN_FILES_DEFAULT_MAX = 16_384;
/** Left to sockets, checkpoints and folders of what the process may open; half of it, where that is less. */
export const DESCRIPTORS_SPARED = 256;

/** The agent's own config file. The one place of its defaults and docs. */
export const agentConfigSchema = z.strictObject({
  ip: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$/, "auto, an address, or a name of a-z A-Z 0-9 . _ : -")
    .default("auto")
    .describe("The identity: auto (the address that routes to the store), an address, or any name."),
  store: storeSchema.prefault({}),
  sink: sinkSchema.prefault({}),
  dataDir: absolutePath
    .default("/var/lib/logagent")
    .describe("Folder of the checkpoints and the last good config; one agent only."),
  allow: z
    .array(absolutePath)
    .min(1)
    .max(256)
    .default(["/var/log/**"])
    .describe("Patterns of the files that may be opened; nothing outside them ever is."),
  networkMounts: z
    .boolean()
    .default(false)
    .describe(
      "Read files on NFS, SMB and the like. Off: one server that does not answer would hold up all files of the agent.",
    ),
  openFilesMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      `Files held open at one time; others are looked at by name, and take turns when they grow. Absent: what the process may open less ${DESCRIPTORS_SPARED}, at most ${OPEN_FILES_DEFAULT_MAX}.`,
    ),
  http: z
    .string()
    .refine((value) => value === "off" || isHostPort(value), "host:port, or off")
    .default("127.0.0.1:2381")
    .describe("Where /healthz /readyz /metrics /tasks are served; off: nowhere."),
  logLevel: z
    .enum(LOG_LEVELS)
    .default("info")
    .describe(`One of ${LOG_LEVELS.join(", ")}; the log goes to stderr.`),
  memory: z
    .strictObject({
      max: z
        .int()
        .min(1024 * 1024)
        .optional()
        .describe(
          "Resident memory of the agent in bytes, kept by reading less; absent: 85 % of its cgroup's limit, if that has one.",
        ),
      maxInFlightBytes: z
        .int()
        .min(4 * 1024 * 1024)
        .max(4 * 1024 * 1024 * 1024)
        .default(MAX_IN_FLIGHT_BYTES_DEFAULT)
        .describe(
          "Memory for lines that are read and not yet acknowledged, of all files; reading waits above it.",
        ),
    })
    .prefault({}),
  deletedFiles: z
    .strictObject({
      maxHeldBytes: z
        .int()
        .min(1024 * 1024)
        .optional()
        .describe(
          "Disk that deleted files may take up until they are acknowledged; beyond it the oldest are let go, as lost. Absent: no limit.",
        ),
    })
    .prefault({}),
  shutdown: z
    .strictObject({
      drainMs: z
        .int()
        .min(0)
        .max(600_000)
        .default(10_000)
        .describe(
          "How long a stop waits for acknowledgements of what was read; the rest is sent again later.",
        ),
    })
    .prefault({}),
});

export type AgentConfig = z.output<typeof agentConfigSchema>;

function isHostPort(value: string): boolean {
  const match = HOST_PORT.exec(value);
  return match !== null && Number(match[2]) <= 65_535;
}

function isEndpoint(value: string): boolean {
  return isHostPort(value.replace(/^https?:\/\//, "").replace(/\/$/, ""));
}
