import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Entry } from "../../conf/collect-config.ts";
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { Sink } from "../sink/port.ts";
import type { AllowList } from "../source/allow-list.ts";
import type { ChunkPool } from "../source/chunk-pool.ts";
import type { FileClaims } from "../source/file-claims.ts";

/** What tail tasks are given. One object serves every task of an agent; the supervisor owns its parts and closes them. */
export interface TailDeps {
  /** The identity of this agent. */
  readonly ip: string;
  readonly sink: Sink;
  /** `await CheckpointStore.open({ folder, disk, clock, random, logger })`, closed after the last task has stopped. */
  readonly checkpoints: CheckpointStore;
  /** `new FileClaims()`. Call `claims.setOrder(paths of the whole config)` before the tasks of a config start or stop. */
  readonly claims: FileClaims;
  /** `new ChunkPool()`. */
  readonly chunks: ChunkPool;
  /** `compileAllowList(config.allow)`. */
  readonly allow: AllowList;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One running entry of the collect config. It never fails for good: trouble is shown in its status and retried. */
export interface TailTask {
  readonly entry: Entry;
  readonly status: TaskStatus;
  /**
   * Stops reading at once. With `drain`, waits for the acknowledgement of what was read until the signal is aborted.
   * Checkpoints of what was acknowledged are written in both cases. Idempotent.
   */
  stop(options: { readonly drain: boolean; readonly signal: AbortSignal }): Promise<void>;
}

/** Figures of one task; counters since the agent started. Bytes are of the files, newlines included. */
export interface TaskStatus {
  readonly path: string;
  readonly topic: string;
  readonly state: "starting" | "running" | "waiting" | "stopped";
  /** Trouble that a person may want to know, each a sentence that starts with what failed; empty when all is well. */
  readonly problems: readonly string[];
  readonly files: number;
  readonly bytesRead: number;
  readonly bytesAcked: number;
  readonly linesAcked: number;
  readonly bytesLost: number;
  /** Size of the files minus what is acknowledged. */
  readonly bytesBehind: number;
  /** Age of the oldest byte that was read and not acknowledged; 0 when there is none. */
  readonly oldestUnackedAgeMs: number;
  readonly openFiles: number;
  /** Bytes of deleted files that are still held because they are not acknowledged yet. */
  readonly heldDeletedBytes: number;
  /** Lines that the destination refused for good. */
  readonly linesRejected: number;
}
