import type { PeerTransport } from "../../store/peer/transport.ts";
import { encodeConfChange } from "../../store/raft/conf-change.ts";
import type { Entry } from "../../store/raft/types.ts";
import type { SnapshotStore } from "../../store/replica/snapshot-exchange.ts";

/** Of a member that is alone: nothing is ever sent. */
export const NO_PEERS: PeerTransport = {
  send: (messages) => {
    if (messages.length > 0) throw new Error(`a lone member sends a message to ${messages[0]?.to}`);
  },
  sendSnapshot: () => Promise.reject(new Error("a lone member sends no snapshot")),
  setPeers: () => undefined,
  isActive: () => false,
  close: () => Promise.resolve(),
};

/** Of a member that is alone: nobody needs one. */
export const NO_SNAPSHOTS: SnapshotStore = {
  make: () => Promise.reject(new Error("a lone member makes no snapshot")),
  receive: () => Promise.reject(new Error("a lone member receives no snapshot")),
  forget: () => Promise.reject(new Error("a lone member receives no snapshot")),
  install: () => Promise.reject(new Error("a lone member installs no snapshot")),
};

/** How the log of a cluster of these voters begins. */
export function firstEntries(voters: readonly bigint[]): Entry[] {
  return voters.map((id, position) => ({
    term: 1,
    index: position + 1,
    kind: "confChange",
    data: encodeConfChange({
      transition: "auto",
      changes: [{ kind: "addVoter", id }],
      context: new Uint8Array(0),
    }),
  }));
}
