import type { AgentView } from "../../../logagent/status/agent-view.ts";
import type { ConfigState } from "../../../logagent/status/config-state.ts";
import type { TaskStatus } from "../../../logagent/task/types.ts";

/** The status of a task at which nothing happens. */
export function taskStatus(fields: Partial<TaskStatus> = {}): TaskStatus {
  return {
    path: "/var/log/a.log",
    topic: "t",
    state: "running",
    problems: [],
    files: 1,
    bytesRead: 0,
    bytesAcked: 0,
    linesAcked: 0,
    bytesLost: 0,
    lossesUnknown: 0,
    bytesBehind: 0,
    oldestUnackedAgeMs: 0,
    openFiles: 1,
    closedFiles: 0,
    waitingFiles: 0,
    heldDeletedBytes: 0,
    linesRejected: 0,
    linesCut: 0,
    linesTruncated: 0,
    bytesTruncated: 0,
    linesDropped: 0,
    ...fields,
  };
}

export const APPLIED: ConfigState = {
  applied: { revision: 7, entries: 1, origin: "store" },
  failed: undefined,
  storeIsOlder: false,
  saveFailure: undefined,
};

/** An agent in good health, but for what the test says. */
export function agentView(fields: Partial<AgentView> = {}): AgentView {
  return {
    version: "1.2.3",
    ip: "10.0.0.1",
    instance: { id: "00000000000000a1", host: "web-1", pid: 77 },
    startedAtMs: Date.UTC(2030, 0, 1),
    nowMs: () => Date.UTC(2030, 0, 2),
    config: () => APPLIED,
    tasks: () => [],
    topic: () => ({ kind: "ready", warnings: [] }),
    checkpointFailure: () => undefined,
    hasLostCheckpoints: false,
    newestLosses: () => [],
    inFlight: () => ({ inFlightBytes: 0, heldBytes: 0, limitBytes: 64 }),
    memory: () => undefined,
    hasIdentityConflict: () => false,
    ...fields,
  };
}
