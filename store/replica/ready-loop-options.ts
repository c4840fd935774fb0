import type { Clock } from "../../base/clock.ts";
import type { Later } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { StateMachine } from "../apply/types.ts";
import type { PeerTransport } from "../peer/transport.ts";
import type { RaftCore } from "../raft/types.ts";
import type { Wal, WalIdentity } from "../wal/wal.ts";
import type { ReplicaLimits } from "./replica-limits.ts";
import type { SnapshotStore } from "./snapshot-exchange.ts";

/** What the loop needs of a state machine. */
export type DrivenState = Pick<
  StateMachine,
  "appliedIndex" | "appliedTerm" | "flushedIndex" | "confState" | "apply" | "compactStep" | "flush"
>;

export interface ReadyLoopOptions<State extends DrivenState> {
  readonly core: RaftCore;
  readonly wal: Pick<Wal, "append" | "cut" | "reset" | "close">;
  readonly state: State;
  readonly snapshots: SnapshotStore;
  readonly transport: PeerTransport;
  readonly identity: WalIdentity;
  readonly clock: Clock;
  readonly later: Later;
  readonly logger: Logger;
  readonly limits: ReplicaLimits;
  /** The configuration, or the table of members, may have changed. */
  readonly onMembers: () => void;
  /** Called once, when nothing can be promised any more (a failed write or sync): the process must end. */
  readonly onFatal: (error: unknown) => void;
}
