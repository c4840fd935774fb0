import { systemClock as clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { AgentConfig } from "../conf/agent-config.ts";
import type { CheckpointStore } from "./checkpoint/checkpoint-store.ts";
import { openFilesLimit } from "./open-files-limit.ts";
import type { Sink } from "./sink/port.ts";
import { compileAllowList } from "./source/allow-list.ts";
import type { ChunkPool } from "./source/chunk-pool.ts";
import { DeletedFiles } from "./source/deleted-files.ts";
import { FileClaims } from "./source/file-claims.ts";
import { followPaths } from "./source/follow-paths.ts";
import { LeftFiles } from "./source/left-files.ts";
import { OpenFiles } from "./source/open-files.ts";
import type { ScanQueue } from "./source/scan-queue.ts";
import { Pulse } from "./task/pulse.ts";
import { Supervisor } from "./task/supervisor.ts";
import { startTailTask } from "./task/tail-task.ts";

/** The supervisor of an agent's tasks, with all that these share. */
export function openSupervisor(
  config: AgentConfig,
  parts: {
    readonly ip: string;
    readonly sink: Sink;
    readonly checkpoints: CheckpointStore;
    readonly chunks: ChunkPool;
    readonly scans: ScanQueue;
    readonly log: Logger;
  },
): Supervisor {
  const { log: logger, ...rest } = parts;
  const claims = new FileClaims();
  const { limit, warning } = openFilesLimit(config.openFilesMax);
  if (warning !== undefined) logger.warn({ warning }, "config warning");
  const openFiles = new OpenFiles(limit);
  const deletedFiles = new DeletedFiles({ bytesMax: config.deletedFiles.maxHeldBytes, logger });
  const leftFiles = new LeftFiles({ checkpoints: parts.checkpoints, claims, openFiles, clock, logger });
  const allow = compileAllowList(config.allow);
  const deps = { ...rest, claims, openFiles, deletedFiles, leftFiles, allow, clock, logger };
  const pulse = new Pulse(deps);
  return new Supervisor({
    startTask: (entry) => startTailTask(entry, deps, pulse),
    setOrder: (entries) => void followPaths(entries, deps),
    onClose: () => leftFiles.close(),
    onClosed: () => leftFiles.sayAbandoned(),
    drainMs: config.shutdown.drainMs,
    clock,
    log: logger,
  });
}
