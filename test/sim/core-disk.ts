import type {
  ConfState,
  Entry,
  EntryId,
  HardState,
  RaftStart,
  SnapshotMeta,
  Write,
} from "../../store/raft/types.ts";

const NOTHING: EntryId = { term: 0, index: 0 };

/** A state that a {@link CoreDisk} holds: the values applied up to a place in the log, and the configuration there. */
export interface ListSnapshot {
  readonly meta: SnapshotMeta;
  readonly values: readonly string[];
}

/** What one bare core has on disk: hard state, log, and the state that its log goes on from. */
export class CoreDisk {
  #hardState: HardState;
  /** The last entry that the log no longer has. */
  #compacted = NOTHING;
  #entries: Entry[];
  #snapshot: ListSnapshot;

  /** `bootstrap`: the entries that name the first members, committed; none for a member that joins. */
  constructor(bootstrap: readonly Entry[]) {
    this.#entries = [...bootstrap];
    this.#hardState = { term: bootstrap.length > 0 ? 1 : 0, vote: 0n, commit: bootstrap.length };
    this.#snapshot = { meta: { ...NOTHING, confState: NOBODY }, values: [] };
  }

  get snapshot(): ListSnapshot {
    return this.#snapshot;
  }

  /** Takes a write in; `content` is what its snapshot holds. */
  write({ hardState, entries, snapshot }: Write, content: ListSnapshot | undefined): void {
    if (snapshot !== undefined && content !== undefined) {
      this.#snapshot = content;
      this.#compacted = { term: snapshot.term, index: snapshot.index };
      this.#entries = [];
    }
    for (const entry of entries) {
      const place = entry.index - this.#compacted.index - 1;
      if (place < 0) continue;
      this.#entries.length = Math.min(this.#entries.length, place);
      this.#entries.push(entry);
    }
    this.#hardState = hardState ?? this.#hardState;
  }

  /** Takes the state that was applied so far. */
  flush(snapshot: ListSnapshot): void {
    this.#snapshot = snapshot;
  }

  /** Forgets the log up to `index`. */
  cut(index: number): void {
    const last = this.#entries[index - this.#compacted.index - 1];
    if (last === undefined) return;
    this.#entries.splice(0, index - this.#compacted.index);
    this.#compacted = { term: last.term, index };
  }

  start(id: bigint): RaftStart {
    const { meta } = this.#snapshot;
    return {
      id,
      confState: meta.confState,
      hardState: this.#hardState,
      entries: this.#entries,
      compacted: this.#compacted,
      applied: meta.index,
    };
  }
}

export const NOBODY: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
