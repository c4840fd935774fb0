import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { systemClock as clock } from "../base/clock.ts";
import { systemRandom as random } from "../base/random.ts";
import { OPEN_FILES_DEFAULT_MAX } from "../conf/agent-config.ts";
import { entrySchema } from "../conf/collect-config.ts";
import { CheckpointStore } from "../logagent/checkpoint/checkpoint-store.ts";
import { forgetfulDisk } from "../logagent/checkpoint/forgetful-disk.ts";
import type { Delivery, Sink } from "../logagent/sink/port.ts";
import { compileAllowList } from "../logagent/source/allow-list.ts";
import { ChunkPool } from "../logagent/source/chunk-pool.ts";
import { DeletedFiles } from "../logagent/source/deleted-files.ts";
import { FileClaims } from "../logagent/source/file-claims.ts";
import { OpenFiles } from "../logagent/source/open-files.ts";
import { ScanQueue } from "../logagent/source/scan-queue.ts";
import { SourceContext } from "../logagent/source/source-context.ts";
import { TailSource } from "../logagent/source/tail-source.ts";

/**
 * Reading and framing alone, into a sink that takes everything: `node bench/read-frame.ts [lines] [line bytes] [files]`.
 * Prints lines per second and per CPU second. The file is read once before, so that the page cache has it.
 */
const lines = Number(process.argv[2] ?? 3_000_000);
const lineBytes = Number(process.argv[3] ?? 150);
const files = Number(process.argv[4] ?? 1);
const ROUNDS = 5;

const folder = mkdtempSync(join(tmpdir(), "logagent-read-frame-"));
try {
  for (let i = 0; i < files; i++) writeLog(join(folder, `${i}.log`), Math.ceil(lines / files));
  for (let round = 0; round < ROUNDS; round++) await measure(round);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(round: number): Promise<void> {
  const logger = pino({ level: "silent" });
  const scans = new ScanQueue();
  const folders = scans.folders;
  const checkpoints = await CheckpointStore.open({
    folder,
    disk: forgetfulDisk,
    folders,
    clock,
    random,
    logger,
  });
  let arrived = 0;
  const sink = countingSink((delivery) => {
    arrived += delivery.spans.count;
  });
  const allow = compileAllowList([`${folder}/**`]);
  const claims = new FileClaims();
  const pools = {
    openFiles: new OpenFiles(OPEN_FILES_DEFAULT_MAX),
    chunks: new ChunkPool(),
    scans,
    deletedFiles: new DeletedFiles({ logger }),
  };
  const deps = { ip: "bench", sink, checkpoints, claims, ...pools, allow, clock, logger };
  const entry = entrySchema.parse({ path: `${folder}/*.log`, topic: "bench" });
  claims.add(entry.path);
  const source = new TailSource(new SourceContext(entry, deps));
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await source.poll();
  await source.idle();
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const bytes = arrived * lineBytes;
  console.log(
    `round ${round}: ${arrived} lines of ${lineBytes} bytes in ${files} files: ` +
      `${(arrived / seconds / 1e6).toFixed(1)} M lines/s, ${(arrived / cpuSeconds / 1e6).toFixed(1)} M lines per CPU second, ` +
      `${(bytes / seconds / 1e9).toFixed(2)} GB/s`,
  );
  await source.stop();
  source.close();
  await checkpoints.close();
}

function countingSink(take: (delivery: Delivery) => void): Sink {
  const nothing = () => Promise.resolve();
  return {
    inFlightBytes: 0,
    deliver: (delivery) => {
      take(delivery);
      delivery.file.acked(delivery.spans.from, delivery.spans.to, delivery.spans.count);
      return Promise.resolve();
    },
    flush: nothing,
    topic: () => ({ kind: "ready", warnings: [] }),
    close: nothing,
    [Symbol.asyncDispose]: nothing,
  };
}

function writeLog(path: string, count: number): void {
  const perWrite = Math.max(1, Math.floor(1_000_000 / lineBytes));
  const line = `${"x".repeat(lineBytes - 1)}\n`;
  const block = line.repeat(perWrite);
  writeFileSync(path, "");
  for (let written = 0; written < count; written += perWrite) {
    appendFileSync(path, block.slice(0, Math.min(perWrite, count - written) * lineBytes));
  }
}
