import type { Entry } from "../../store/raft/types.ts";
import { Violation } from "../support/violation.ts";
import type { LogMirror } from "./log-mirror.ts";

interface Known {
  readonly previousTerm: number | undefined;
  readonly entry: Entry;
}

interface Committed {
  readonly entry: Entry;
  /** Term of the first member that said so: the entry was committed in this term or before. */
  readonly inTerm: number;
}

/** The properties that Raft guarantees at all times (Raft, figure 3), over all members, dead ones included. */
export class RaftLaws {
  readonly #leaders = new Map<number, bigint>();
  /** By index, then term. */
  readonly #entries: Map<number, Known>[] = [];
  readonly #committed: (Committed | undefined)[] = [];
  readonly #onLeader = new Set<(id: bigint) => void>();

  /** Highest index that some member has handed out as committed. */
  get committedIndex(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  get leaderCount(): number {
    return this.#leaders.size;
  }

  committedTerm(index: number): number | undefined {
    return this.#committed[index]?.entry.term;
  }

  /** Election safety: at most one leader in a term. */
  leads(id: bigint, term: number): void {
    const known = this.#leaders.get(term);
    if (known === id) return;
    if (known !== undefined) {
      throw new Violation("one leader by term", `${hex(known)} and ${hex(id)} lead in term ${term}`);
    }
    this.#leaders.set(term, id);
    for (const listener of [...this.#onLeader]) listener(id);
  }

  /** Told of each new leader, in the middle of its work. Returns how to end that. */
  onLeader(listener: (id: bigint) => void): () => void {
    this.#onLeader.add(listener);
    return () => this.#onLeader.delete(listener);
  }

  /** Leader completeness: what was committed in earlier terms is in the log of every later leader. */
  leaderHolds(id: bigint, term: number, log: LogMirror): void {
    for (let index = this.committedIndex; index > log.compactedIndex; index -= 1) {
      const committed = this.#committed[index];
      if (committed === undefined || committed.inTerm >= term) continue;
      const held = log.termAt(index);
      if (held === committed.entry.term) return;
      throw new Violation(
        "leader completeness",
        `${hex(id)} leads in term ${term} without the committed entry ${committed.entry.term}/${index}; ` +
          `it has ${held === undefined ? "nothing" : `one of term ${held}`} there`,
      );
    }
  }

  /** Log matching: an index and a term name one entry, with one and the same log before it. */
  holds(id: bigint, entry: Entry, previousTerm: number | undefined): void {
    const { index, term } = entry;
    const ofIndex = this.#entries[index] ?? new Map<number, Known>();
    this.#entries[index] = ofIndex;
    const known = ofIndex.get(term);
    if (known === undefined) {
      ofIndex.set(term, { entry, previousTerm });
      return;
    }
    if (!isSame(known.entry, entry)) {
      throw new Violation("log matching", `${hex(id)} holds another entry ${term}/${index} than others do`);
    }
    if (known.previousTerm === undefined) ofIndex.set(term, { entry, previousTerm });
    else if (previousTerm !== undefined && previousTerm !== known.previousTerm) {
      throw new Violation(
        "log matching",
        `${hex(id)} holds ${term}/${index} behind an entry of term ${previousTerm}, others behind one of ${known.previousTerm}`,
      );
    }
  }

  /** State machine safety: one entry at an index is ever committed. */
  commits(id: bigint, entry: Entry, inTerm: number): void {
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed[entry.index] = { entry, inTerm };
      return;
    }
    if (known.entry.term === entry.term && isSame(known.entry, entry)) return;
    throw new Violation(
      "state machine safety",
      `${hex(id)} commits ${entry.term}/${entry.index}, another committed ${known.entry.term}/${entry.index}`,
    );
  }
}

function isSame(one: Entry, other: Entry): boolean {
  if (one === other || one.data === other.data) return one.kind === other.kind;
  return one.kind === other.kind && Buffer.compare(one.data, other.data) === 0;
}

function hex(id: bigint): string {
  return id.toString(16);
}
