import type { Logger } from "pino";
import type { Applied, OpenedStateMachine, StateMachine } from "../../store/apply/types.ts";
import { Raft } from "../../store/raft/raft.ts";
import type { Entry, RaftCore } from "../../store/raft/types.ts";
import type { CreateCore } from "../../store/replica/open-replica.ts";
import type { WatchHub, WatchOutput } from "../../store/watch/types.ts";
import { Violation } from "../support/violation.ts";
import type { Chronicle } from "./chronicle.ts";
import type { EntryLedger } from "./entry-ledger.ts";
import { ObservedCore } from "./observed-core.ts";
import type { RaftLaws } from "./raft-laws.ts";
import type { SimMachine } from "./sim-machine.ts";
import type { Timeline } from "./timeline.ts";

const FROM_FIRST_KEY = Buffer.from([0]);

/** A deliberate bug: parts that take the place of sound ones, to see that the laws find it. */
export interface Mutation {
  core?(core: RaftCore): RaftCore;
  hub?(hub: WatchHub): WatchHub;
  state?(state: StateMachine): void;
}

/** The eyes of the simulation inside the members: every core, every state and every hub is held to the laws. */
export class Watchers {
  readonly #parts: {
    readonly timeline: Timeline;
    readonly laws: RaftLaws;
    readonly chronicle: Chronicle;
    readonly ledger: EntryLedger;
    readonly mutation: Mutation;
    readonly logger: ((name: string) => Logger) | undefined;
  };

  readonly #onHalfEntry = new Set<(id: bigint) => void>();
  /** Pauses in the middle of entries. */
  halfEntries = 0;

  constructor(parts: {
    readonly timeline: Timeline;
    readonly laws: RaftLaws;
    readonly chronicle: Chronicle;
    readonly ledger: EntryLedger;
    readonly mutation: Mutation;
    readonly logger: ((name: string) => Logger) | undefined;
  }) {
    this.#parts = parts;
  }

  logger(name: string): Logger | undefined {
    return this.#parts.logger?.(name);
  }

  readonly createCore: CreateCore = (start, options) => {
    const { laws, mutation } = this.#parts;
    const raft = new Raft(start, options);
    return new ObservedCore(mutation.core?.(raft) ?? raft, start, laws);
  };

  hub(hub: WatchHub): WatchHub {
    return this.#parts.mutation.hub?.(hub) ?? hub;
  }

  /** Of each entry that this state applies, the outcome is held against the other members'. */
  state({ id, name }: Pick<SimMachine, "id" | "name">, { state, watchHub }: OpenedStateMachine): void {
    const { ledger, mutation } = this.#parts;
    const apply = state.apply.bind(state);
    const noticed = (steps: Generator<undefined, Applied>) => this.#noticed(id, steps);
    state.apply = function* (entry: Entry, configure): Generator<undefined, Applied> {
      const isNew = entry.index > state.appliedIndex;
      const applied = yield* noticed(apply(entry, configure));
      if (isNew) ledger.applied(name, entry, applied);
      return applied;
    };
    mutation.state?.(state);
    this.#record(name, watchHub, state.revision + 1);
  }

  /** Told of each pause in the middle of an entry, and at whom. Returns how to end that. */
  onHalfEntry(listener: (id: bigint) => void): () => void {
    this.#onHalfEntry.add(listener);
    return () => this.#onHalfEntry.delete(listener);
  }

  *#noticed(id: bigint, steps: Generator<undefined, Applied>): Generator<undefined, Applied> {
    try {
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        this.halfEntries += 1;
        for (const listener of [...this.#onHalfEntry]) listener(id);
        yield;
      }
    } finally {
      // Nothing, when it has come to its end.
      steps.return(undefined as never);
    }
  }

  /** A watcher of everything: what this member tells goes into the chronicle, each revision once and in order. */
  #record(name: string, hub: WatchHub, from: number): void {
    const { chronicle, timeline } = this.#parts;
    let next = from;
    const offer = (output: WatchOutput): boolean => {
      if (output.kind === "compacted") {
        // Its state was replaced by one that does not reach back to where it was.
        this.#record(name, hub, output.compactRevision);
        return true;
      }
      for (const { revision, events } of output.kind === "events" ? output.batches : []) {
        if (revision !== next) {
          throw new Violation("watch complete", `${name} tells of revision ${revision} after ${next - 1}`);
        }
        next += 1;
        chronicle.tell(name, revision, events, timeline.nowMs);
      }
      return true;
    };
    const spec = {
      key: FROM_FIRST_KEY,
      rangeEnd: FROM_FIRST_KEY,
      prevKv: false,
      noPut: false,
      noDelete: false,
    };
    hub.watch({ ...spec, startRevision: from }, { offer });
  }
}
