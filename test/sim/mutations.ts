import type { RaftCore, ReadState, Ready } from "../../store/raft/types.ts";
import type { LoopWal } from "../../store/replica/open-replica.ts";
import type { WatchHub } from "../../store/watch/types.ts";
import { DelegatingCore } from "./delegating-core.ts";
import type { Mutation } from "./watchers.ts";

/** Deliberate bugs, each a part that takes a sound one's place: the simulator is worth what it finds of them. */
export const MUTATIONS = {
  /** A member that restarts has forgotten for whom it voted (Raft, figure 2). */
  voteNotPersisted: {
    wal: (wal) => ({
      ...bound(wal),
      append: ({ hardState, entries }) =>
        wal.append({ hardState: hardState && { ...hardState, vote: 0n }, entries }),
    }),
  },
  /** A leader answers reads from what it knows, and does not ask whether it leads still (Raft §6.4). */
  readWithoutQuorum: { core: (core) => new ReadsAtOnce(core) },
  /** A watch that goes on where another one broke off begins with what that one has told. */
  eventSentTwice: { hub: (hub) => beginsTooEarly(hub) },
  /** Segments go whose entries the backend has not flushed. */
  walCutTooFar: {
    wal: (wal) => ({ ...bound(wal), cut: () => wal.cut(Number.MAX_SAFE_INTEGER) }),
  },
} as const satisfies Record<string, Mutation>;

function bound(wal: LoopWal): LoopWal {
  return {
    append: (batch) => wal.append(batch),
    cut: (index) => wal.cut(index),
    reset: (to) => wal.reset(to),
    close: () => wal.close(),
  };
}

function beginsTooEarly(hub: WatchHub): WatchHub {
  return {
    watch: (spec, outlet) => {
      const startRevision = spec.startRevision > 2 ? spec.startRevision - 1 : spec.startRevision;
      return hub.watch({ ...spec, startRevision }, outlet);
    },
    catchUpStep: () => hub.catchUpStep(),
    onBehind: (listener) => hub.onBehind(listener),
    get counts() {
      return hub.counts;
    },
  };
}

class ReadsAtOnce extends DelegatingCore {
  #answers: ReadState[] = [];

  override readIndex(context: bigint): ReturnType<RaftCore["readIndex"]> {
    const { role, commit } = this.status;
    if (role !== "leader") return super.readIndex(context);
    this.#answers.push({ index: commit, context });
    return "accepted";
  }

  override ready(): Ready | undefined {
    const ready = super.ready();
    const answers = this.#answers;
    if (answers.length === 0) return ready;
    this.#answers = [];
    const nothing = { write: undefined, messages: [], committed: [], readStates: [], softState: undefined };
    return { ...(ready ?? nothing), readStates: [...(ready?.readStates ?? []), ...answers] };
  }
}
