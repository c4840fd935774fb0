import type { KvHash, StateMachine } from "../apply/types.ts";
import type { Turns } from "./turns.ts";

type Hashed = Pick<StateMachine, "hashKv" | "compactionHashes">;

/** What this member holds at a revision, as a hash (etcd mvcc/hash.go HashStorage). */
export class KvHashes {
  readonly #state: Hashed;
  readonly #turns: Pick<Turns, "run">;

  constructor(state: Hashed, turns: Pick<Turns, "run">) {
    this.#state = state;
    this.#turns = turns;
  }

  /** What a client is told: at the revision of a compaction that is remembered what that hashed, otherwise {@link now}. */
  async at(revision: number, options: { readonly signal: AbortSignal }): Promise<KvHash> {
    return this.ofCompaction(revision) ?? (await this.now(revision, options));
  }

  /** Hashed now; 0: at the newest revision. Rejects with StoreError Compacted, FutureRev, InstallingSnapshot. */
  now(revision: number, options: { readonly signal: AbortSignal }): Promise<KvHash> {
    return this.#turns.run(this.#state.hashKv(revision), options);
  }

  /** Of the compactions that are remembered, the newest first. */
  get compactions(): readonly KvHash[] {
    return this.#state.compactionHashes.toReversed();
  }

  /** Undefined when that compaction is not remembered, or not finished. */
  ofCompaction(revision: number): KvHash | undefined {
    return this.#state.compactionHashes.find(({ hashRevision }) => hashRevision === revision);
  }
}
