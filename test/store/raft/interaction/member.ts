import { invariant } from "../../../../base/invariant.ts";
import { decodeConfChange } from "../../../../store/raft/conf-change.ts";
import type { Message } from "../../../../store/raft/message.ts";
import { Raft } from "../../../../store/raft/raft.ts";
import type {
  Entry,
  HardState,
  RaftCore,
  RaftOptions,
  RaftStart,
  Ready,
  SnapshotMeta,
  SoftState,
  Write,
} from "../../../../store/raft/types.ts";
import type { ReferenceReady } from "./describe.ts";
import { MirrorLog } from "./mirror-log.ts";
import {
  appendWork,
  applyWork,
  isReported,
  type Parcel,
  parcelOf,
  type Work,
  withResponses,
} from "./parcel.ts";

export interface MemberOptions {
  readonly id: bigint;
  /** State and log begin behind it. */
  readonly start: SnapshotMeta;
  readonly options: Omit<RaftOptions, "snapshot">;
  /** Storage answers by messages of its own (etcd raft Config.AsyncStorageWrites), or each Ready is done when it is taken. */
  readonly storage: "async" | "sync";
}

/** One round of work, in the reference's words and in ours. */
export interface Round {
  readonly ready: ReferenceReady;
  readonly write: Write | undefined;
  readonly committed: readonly Entry[];
  /** For other members, to leave now. */
  readonly parcels: readonly Parcel[];
}

/** A member of the replayed cluster: our core, the disk and the state machine that a script sees, and their work. */
export class Member {
  readonly id: bigint;
  readonly core: RaftCore;
  readonly log: MirrorLog;
  readonly storage: "async" | "sync";
  readonly appendWork: Work<Write>[] = [];
  readonly applyWork: Work<readonly Entry[]>[] = [];
  /** The state after each applied entry; what a snapshot taken now would hold is the last one. */
  readonly #history: SnapshotMeta[];
  #hardState: HardState;
  #softState: Pick<SoftState, "role" | "leader"> = { role: "follower", leader: 0n };
  /** Writes in the order of their rounds, and which of them the core may hear of. */
  readonly #outstanding: { readonly write: Write; isDone: boolean }[] = [];

  constructor({ id, start, options, storage }: MemberOptions) {
    this.id = id;
    this.storage = storage;
    this.log = new MirrorLog(start);
    this.#history = [start];
    const { hardState, ...rest } = raftStart(id, start);
    this.#hardState = hardState;
    this.core = new Raft({ hardState, ...rest }, { ...options, snapshot: () => this.snapshot });
  }

  get snapshot(): SnapshotMeta {
    const last = this.#history.at(-1);
    invariant(last !== undefined, "the history begins with the start");
    return last;
  }

  /** In its configuration. */
  knows(id: bigint): boolean {
    const { voters, votersOutgoing, learners } = this.core.confState;
    return [voters, votersOutgoing, learners].some((ids) => ids.includes(id));
  }

  get isVoter(): boolean {
    const { voters, votersOutgoing } = this.core.confState;
    return voters.includes(this.id) || votersOutgoing.includes(this.id);
  }

  /** The work that is due; undefined when there is none. */
  takeRound(): Round | undefined {
    const ready = this.core.ready();
    if (ready === undefined) return undefined;
    if (ready.write !== undefined) this.#outstanding.push({ write: ready.write, isDone: false });
    return this.storage === "async" ? this.#asyncRound(ready) : this.#syncRound(ready);
  }

  /** The disk has it. */
  append(write: Write): void {
    const { entries, snapshot } = write;
    invariant(snapshot === undefined || entries.length === 0, "no entries come with a snapshot");
    if (snapshot !== undefined) this.log.install(snapshot);
    this.log.append(entries);
    // No message will come back to tell the core of it.
    if (this.storage === "async" && !isReported(write)) this.persisted(write);
  }

  /** The state machine has them. */
  apply(entries: readonly Entry[]): void {
    for (const { kind, data, index, term } of entries) {
      const changed = kind === "confChange" ? this.core.applyConfChange(decodeConfChange(data)) : undefined;
      this.#history.push({ index, term, confState: changed ?? this.snapshot.confState });
    }
  }

  /** Tells the core of a write, in the order of the rounds. */
  persisted(write: Write): void {
    const reported = this.#outstanding.find((one) => one.write === write);
    invariant(reported !== undefined, "a write is reported once");
    reported.isDone = true;
    for (let first = this.#outstanding[0]; first?.isDone; first = this.#outstanding[0]) {
      this.#outstanding.shift();
      this.core.persisted(first.write);
    }
  }

  /** The end of a round without asynchronous storage (etcd raft RawNode.Advance). */
  advance({ write, committed }: Round): void {
    for (const response of write?.responses ?? []) {
      if (response.to === this.id) this.core.step(response);
    }
    if (write?.snapshot !== undefined) this.persisted(write);
    const last = committed.at(-1);
    if (last !== undefined) this.core.applied(last.index);
  }

  #asyncRound(ready: Ready): Round {
    const { write, committed } = ready;
    const { messages, responses } = leaving(ready);
    const parcels = messages.map(parcelOf);
    const shown = parcels.map((parcel) => parcel.shown);
    if (write !== undefined) {
      const work = appendWork(this.id, write, responses);
      this.appendWork.push(work);
      shown.push(withResponses(work));
    }
    if (committed.length > 0) {
      const work = applyWork(this.id, committed);
      this.applyWork.push(work);
      shown.push(withResponses(work));
    }
    return { ready: this.#toReference(ready, shown), write, committed, parcels };
  }

  /**
   * The reference without asynchronous storage lets entries be applied in the round that writes them. Ours hands them out
   * when they are on disk: so that is reported at once, and what comes then belongs to the same round. Snapshots end
   * their round in both. The responses to this member itself wait for {@link advance}, as they do in the reference.
   */
  #syncRound(ready: Ready): Round {
    const { write } = ready;
    let { committed } = ready;
    if (write !== undefined && write.snapshot === undefined) {
      this.persisted(write);
      const rest = this.core.ready();
      invariant(
        rest === undefined ||
          (rest.write === undefined &&
            rest.softState === undefined &&
            rest.messages.length === 0 &&
            rest.readStates.length === 0),
        "a write on disk brings entries to apply, and no other work",
      );
      committed = [...committed, ...(rest?.committed ?? [])];
    }
    const { messages, responses } = leaving(ready);
    const others = responses.filter((response) => response.to !== this.id);
    const parcels = [...messages, ...others].map(parcelOf);
    const shown = parcels.map((parcel) => parcel.shown);
    return { ready: this.#toReference({ ...ready, committed }, shown), write, committed, parcels };
  }

  #toReference(ready: Ready, messages: ReferenceReady["messages"]): ReferenceReady {
    const { write, committed, readStates } = ready;
    return {
      softState: this.#changed(ready.softState),
      hardState: write?.hardState,
      readStates,
      entries: write?.entries ?? [],
      snapshot: write?.snapshot,
      committed,
      messages,
      mustSync: this.#mustSync(write),
    };
  }

  /**
   * The reference's flag is about the log alone; a snapshot gets on the disk in ways of its own. Ours is also set for a
   * snapshot: then the rest of the write says what the reference prints.
   */
  #mustSync(write: Write | undefined): boolean {
    if (write === undefined) return false;
    const { hardState = this.#hardState, entries, snapshot, mustSync } = write;
    const isNew = hardState.term !== this.#hardState.term || hardState.vote !== this.#hardState.vote;
    this.#hardState = hardState;
    if (snapshot === undefined) return mustSync;
    invariant(mustSync, "a snapshot is to be on disk before what depends on it");
    return isNew || entries.length > 0;
  }

  /** The reference's soft state has no term. */
  #changed(state: SoftState | undefined): ReferenceReady["softState"] {
    if (state === undefined) return undefined;
    const { role, leader } = state;
    const isSame = role === this.#softState.role && leader === this.#softState.leader;
    this.#softState = { role, leader };
    return isSame ? undefined : { role, leader };
  }
}

/**
 * What leaves at once and what leaves after the write. The reference asks for votes at once, our core when its term and
 * log are on disk: what is shown and delivered here is what the reference does.
 */
function leaving({ messages, write }: Ready): Record<"messages" | "responses", readonly Message[]> {
  const responses = write?.responses ?? [];
  const isRequest = ({ kind }: Message) => kind === "vote";
  return {
    messages: [...messages, ...responses.filter(isRequest)],
    responses: responses.filter((response) => !isRequest(response)),
  };
}

function raftStart(id: bigint, { term, index, confState }: SnapshotMeta): RaftStart {
  return {
    id,
    confState,
    hardState: { term: 0, vote: 0n, commit: index },
    entries: [],
    compacted: { term, index },
    applied: index,
  };
}
