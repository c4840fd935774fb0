import {
  type KeptEntries,
  NONE,
  type RaftCore,
  type ReadState,
  type Ready,
  type Write,
} from "../../store/raft/types.ts";
import type { WatchHub } from "../../store/watch/types.ts";
import { DelegatingCore } from "./delegating-core.ts";
import type { Mutation } from "./watchers.ts";

/** Deliberate bugs, each a part that takes a sound one's place: the simulator is worth what it finds of them. */
export const MUTATIONS = {
  /** A member that restarts has forgotten for whom it voted (Raft, figure 2). */
  voteNotPersisted: { core: (core) => new ForgetsVotes(core) },
  /** A leader answers reads from what it knows, and does not ask whether it leads still (Raft §6.4). */
  readWithoutQuorum: { core: (core) => new ReadsAtOnce(core) },
  /** A watch that goes on where another one broke off begins with what that one has told. */
  eventSentTwice: { hub: (hub) => beginsTooEarly(hub) },
  /** Segments go whose entries the backend has not flushed. */
  walCutTooFar: { core: (core) => new ForgetsAll(core) },
} as const satisfies Record<string, Mutation>;

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

class ForgetsVotes extends DelegatingCore {
  /** By what is written in their place. */
  readonly #writes = new Map<Write, Write>();

  override ready(): Ready | undefined {
    const ready = super.ready();
    if (ready?.write?.hardState === undefined) return ready;
    const write = { ...ready.write, hardState: { ...ready.write.hardState, vote: NONE } };
    this.#writes.set(write, ready.write);
    return { ...ready, write };
  }

  override persisted(write: Write): void {
    super.persisted(this.#writes.get(write) ?? write);
    this.#writes.delete(write);
  }
}

class ForgetsAll extends DelegatingCore {
  override compact(index: number, keep: KeptEntries): number {
    super.compact(index, keep);
    return Number.MAX_SAFE_INTEGER;
  }
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
