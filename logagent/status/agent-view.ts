import type { AgentInstance } from "../../conf/agent-status.ts";
import type { LossRecord } from "../checkpoint/loss.ts";
import type { MemoryState } from "../memory/memory-limit.ts";
import type { TopicStatus } from "../sink/port.ts";
import type { TaskStatus } from "../task/types.ts";
import type { ConfigState } from "./config-state.ts";

export interface InFlight {
  /** Of the files. */
  readonly inFlightBytes: number;
  /** Memory charged for them, framing included. */
  readonly heldBytes: number;
  /** At which reading waits, of `heldBytes`: as of now, since `memory.max` may lower it. */
  readonly limitBytes: number;
}

/** The agent as its status, its metrics and its probes see it: always as of now. */
export interface AgentView {
  /** Of the logagent package. */
  readonly version: string;
  /** The identity. */
  readonly ip: string;
  readonly instance: AgentInstance;
  /** Wall clock. */
  readonly startedAtMs: number;
  /** Wall clock. */
  nowMs(): number;
  config(): ConfigState;
  tasks(): readonly TaskStatus[];
  topic(name: string): TopicStatus;
  /** What the last write of the checkpoints failed with; undefined when it did not. */
  checkpointFailure(): string | undefined;
  /** The checkpoints on disk were damaged when the agent started, and every file is read again. */
  readonly hasLostCheckpoints: boolean;
  /** A few of the losses, the newest first. */
  newestLosses(): readonly LossRecord[];
  /** Lines that the sink has accepted and that are not acknowledged. */
  inFlight(): InFlight;
  /** What `memory.max` does; undefined: the agent has no limit. */
  memory(): MemoryState | undefined;
  /** Another agent lives under the same identity. */
  hasIdentityConflict(): boolean;
}
