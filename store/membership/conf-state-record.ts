import type { Backend } from "../backend/port.ts";
import { ConfState as ConfStateMessage } from "../proto/gen/configuration.ts";
import type { ConfState } from "../raft/types.ts";

const KEY = Buffer.from("confState");

/** Of a member that has not applied the entries (or taken the snapshot) that name the first members. */
const NO_CONF_STATE: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The configuration as of the applied index: bucket "meta", key "confState" (configuration.proto ConfState). */
export function readConfState(backend: Pick<Backend, "get">): ConfState {
  const record = backend.get("meta", KEY);
  return record === undefined ? NO_CONF_STATE : ConfStateMessage.decode(record);
}

export function writeConfState(backend: Pick<Backend, "put">, confState: ConfState): void {
  const message = {
    voters: [...confState.voters],
    learners: [...confState.learners],
    votersOutgoing: [...confState.votersOutgoing],
    learnersNext: [...confState.learnersNext],
    autoLeave: confState.autoLeave,
  };
  backend.put("meta", KEY, ConfStateMessage.encode(message).finish());
}
