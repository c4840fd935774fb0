// One contestant of bench/kafka.ts: ships a file by the agent's own parts, prints what it took as JSON, and ends.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { createLogger } from "../base/log.ts";
import { nodeDisk } from "../base/node-disk.ts";
import { systemRandom } from "../base/random.ts";
import { agentConfigSchema, OPEN_FILES_DEFAULT_MAX } from "../conf/agent-config.ts";
import { entrySchema } from "../conf/collect-config.ts";
import { CheckpointStore } from "../logagent/checkpoint/checkpoint-store.ts";
import { openSink } from "../logagent/sink/open-sink.ts";
import type { SinkOptions } from "../logagent/sink/options.ts";
import { compileAllowList } from "../logagent/source/allow-list.ts";
import { ChunkPool } from "../logagent/source/chunk-pool.ts";
import { DeletedFiles } from "../logagent/source/deleted-files.ts";
import { FileClaims } from "../logagent/source/file-claims.ts";
import { OpenFiles } from "../logagent/source/open-files.ts";
import { ScanQueue } from "../logagent/source/scan-queue.ts";
import { startTailTask } from "../logagent/task/tail-task.ts";

const { values } = parseArgs({
  options: {
    type: { type: "string", default: "kafka" },
    brokers: { type: "string", default: "127.0.0.1:9092" },
    topic: { type: "string", default: "bench" },
    file: { type: "string", default: "" },
    lines: { type: "string", default: "0" },
    compression: { type: "string", default: "none" },
    headers: { type: "boolean", default: false },
    "one-at-a-time": { type: "boolean", default: false },
  },
});

const folder = realpathSync(mkdtempSync(join(tmpdir(), "logagent-bench-")));
const logger = createLogger({ name: "bench", level: "error" });
const ports = { clock: systemClock, random: systemRandom, logger };
let requests = 0;
let requestBytes = 0;
const sink = openSink(
  {
    ...agentConfigSchema.parse({}).sink,
    type: values.type as SinkOptions["type"],
    brokers: values.brokers.split(","),
    compression: values.compression as SinkOptions["compression"],
    idempotent: !values["one-at-a-time"],
    path: folder,
  },
  {
    ...ports,
    observer: {
      onError: ({ code }) => console.error(code),
      onRequest: ({ bytes }) => {
        requests += 1;
        requestBytes += bytes;
      },
    },
  },
);
const scans = new ScanQueue();
const checkpoints = await CheckpointStore.open({
  folder,
  disk: nodeDisk,
  folders: scans.folders,
  ...ports,
});
const startCpu = process.cpuUsage();
const startedAtMs = performance.now();
const task = startTailTask(
  entrySchema.parse({ path: values.file, topic: values.topic, headers: values.headers }),
  {
    ip: "10.1.2.3",
    sink,
    checkpoints,
    claims: new FileClaims(),
    openFiles: new OpenFiles(OPEN_FILES_DEFAULT_MAX),
    chunks: new ChunkPool(),
    deletedFiles: new DeletedFiles({ logger }),
    scans,
    allow: compileAllowList([`${dirname(values.file)}/**`]),
    ...ports,
  },
);
const lines = Number(values.lines);
while (task.status.linesAcked < lines) await systemClock.sleep(2);
const wallMs = performance.now() - startedAtMs;
const cpu = process.cpuUsage();
const result = {
  lines: task.status.linesAcked,
  wallMs,
  cpuMs: (cpu.user + cpu.system) / 1000,
  startCpuMs: (startCpu.user + startCpu.system) / 1000,
  startWallMs: startedAtMs,
  requests,
  requestBytes,
  maxRssMiB: process.resourceUsage().maxRSS / 1024,
};
await task.stop({ drain: true, signal: AbortSignal.timeout(5_000) });
await sink.close();
await checkpoints.close();
rmSync(folder, { recursive: true });
console.log(JSON.stringify(result));
