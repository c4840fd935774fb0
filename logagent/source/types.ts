import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { Sink } from "../sink/port.ts";
import type { AllowList } from "./allow-list.ts";
import type { ChunkPool } from "./chunk-pool.ts";
import type { DeletedFiles } from "./deleted-files.ts";
import type { FileClaims } from "./file-claims.ts";
import type { LeftFiles } from "./left-files.ts";
import type { OpenFiles } from "./open-files.ts";
import type { ScanQueue } from "./scan-queue.ts";

/** What tail tasks are given. One object serves every task of an agent; the supervisor owns its parts and closes them. */
export interface TailDeps {
  /** The identity of this agent. */
  readonly ip: string;
  readonly sink: Sink;
  /** `await CheckpointStore.open({ folder, disk, folders, clock, random, logger })`, closed after the last task has stopped. */
  readonly checkpoints: CheckpointStore;
  /** `new FileClaims()`. Call `followPaths(the whole config, deps)` before the tasks of a config start or stop. */
  readonly claims: FileClaims;
  /** `new OpenFiles(limit)`. */
  readonly openFiles: OpenFiles;
  /** `new ChunkPool()`. */
  readonly chunks: ChunkPool;
  /** `new DeletedFiles({ bytesMax, logger })`. */
  readonly deletedFiles: DeletedFiles;
  /** `new LeftFiles({ checkpoints, claims, openFiles, clock, logger })`. Undefined: no task ever goes on where another has ended. */
  readonly leftFiles?: LeftFiles;
  /** `new ScanQueue()`. */
  readonly scans: ScanQueue;
  /** `compileAllowList(config.allow)`. */
  readonly allow: AllowList;
  readonly clock: Clock;
  readonly logger: Logger;
}
