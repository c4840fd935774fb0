import type { Entry } from "../../conf/collect-config.ts";

export type { TailDeps } from "../source/types.ts";

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

/**
 * - `waiting`: the topic takes nothing.
 * - `waiting for file`: nothing has matched the path for a minute. That may be as it should be: it is no problem.
 */
export type TaskState = "starting" | "running" | "waiting" | "waiting for file" | "stopped";

/** Figures of one task; counters since the agent started. Bytes are of the files, newlines included. */
export interface TaskStatus {
  readonly path: string;
  readonly topic: string;
  readonly state: TaskState;
  /** Trouble that a person may want to know, each a sentence that starts with what failed; empty when all is well. */
  readonly problems: readonly string[];
  readonly files: number;
  readonly bytesRead: number;
  readonly bytesAcked: number;
  readonly linesAcked: number;
  readonly bytesLost: number;
  /** Changes of files of which nobody can say how many bytes they took along. */
  readonly lossesUnknown: number;
  /** Size of the files minus what is acknowledged, and what was sent of replaced contents and is not. */
  readonly bytesBehind: number;
  /** Age of the oldest byte that was read and not acknowledged; 0 when there is none. */
  readonly oldestUnackedAgeMs: number;
  readonly openFiles: number;
  /** Not open, and watched by their names: nothing is left to ship, or they wait. */
  readonly closedFiles: number;
  /** Of the closed ones: have something to ship, and wait for others to be closed. */
  readonly waitingFiles: number;
  /** Disk that deleted files take up because something of them is not acknowledged yet. */
  readonly heldDeletedBytes: number;
  /** Lines that the destination refused for good. */
  readonly linesRejected: number;
  /** Parts that do not end where their line, or their group of lines, ends. */
  readonly linesCut: number;
  readonly linesTruncated: number;
  /** Bytes of truncated lines that are not shipped. */
  readonly bytesTruncated: number;
  /** Records that the entry's rules leave out. */
  readonly linesDropped: number;
}
