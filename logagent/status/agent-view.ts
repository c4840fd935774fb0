import type { TopicStatus } from "../sink/port.ts";
import type { TaskStatus } from "../task/types.ts";
import type { ConfigState } from "./config-state.ts";

/** The agent as its status, its metrics and its probes see it: always as of now. */
export interface AgentView {
  /** Of the logagent package. */
  readonly version: string;
  /** The identity. */
  readonly ip: string;
  /** Wall clock. */
  readonly startedAtMs: number;
  config(): ConfigState;
  tasks(): readonly TaskStatus[];
  topic(name: string): TopicStatus;
  /** What the last write of the checkpoints failed with; undefined when it did not. */
  checkpointFailure(): string | undefined;
  /** Another agent lives under the same identity. */
  hasIdentityConflict(): boolean;
}
