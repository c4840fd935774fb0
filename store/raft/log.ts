import { invariant } from "../../base/invariant.ts";
import { ApplyWindow } from "./apply-window.ts";
import type { Entry, EntryId, KeptEntries, SnapshotMeta } from "./types.ts";

/**
 * The entries that are not yet forgotten, and how far each has come. Indexes only grow, in this order, but for a tail
 * that another leader replaces:
 *
 *     compacted ≤ applied ≤ applying ≤ committed ≤ last     (what the state machine has)
 *     compacted ≤ stable ≤ writing ≤ last                   (what the disk has)
 *
 * `applying` never passes `stable`: an entry is applied only when it is on this member's own disk, so that a backend
 * never holds an effect whose entry a crash could take away. Storage is asynchronous: entries up to `writing` have been
 * handed to the disk, and {@link stableTo} reports them there. While a snapshot is being installed, it is `applied` that
 * stands below `compacted`, and nothing is handed out.
 */
export class RaftLog {
  #compacted: EntryId;
  /** #entries[0] has index #compacted.index + 1. */
  #entries: Entry[];
  #stable: number;
  /** Of the data of entries that are not on disk. */
  #unstableBytes = 0;
  #writing: number;
  #committed: number;
  readonly #window: ApplyWindow;
  /** Replaces log and state; undefined once it is installed. */
  #snapshot: { readonly meta: SnapshotMeta; readonly isTaken: boolean } | undefined;

  /** `entries` are on disk, contiguous, the first directly after `compacted`; `commit` and `applied` within them. */
  constructor(start: {
    readonly entries: readonly Entry[];
    readonly compacted: EntryId;
    readonly commit: number;
    readonly applied: number;
    /** Bytes that may be handed out for applying and not be reported as applied; one entry above it passes alone. */
    readonly applyingBytes: number;
  }) {
    this.#compacted = start.compacted;
    this.#entries = [...start.entries];
    let next = start.compacted.index;
    for (const entry of this.#entries) {
      next += 1;
      invariant(entry.index === next, `entry ${entry.index} at the start of the log has index ${next}`);
    }
    this.#stable = this.#writing = next;
    this.#window = new ApplyWindow({ applied: start.applied, bytesMax: start.applyingBytes });
    // Figure 2 counts the commit index as volatile: what the backend has applied was committed, whatever is on disk.
    this.#committed = Math.max(start.commit, start.applied);
    invariant(
      start.applied >= start.compacted.index && this.#committed <= next,
      `compacted ${start.compacted.index} ≤ applied ${start.applied} ≤ committed ${this.#committed} ≤ last ${next}`,
    );
  }

  get lastIndex(): number {
    return this.#compacted.index + this.#entries.length;
  }

  get last(): EntryId {
    const entry = this.#entries.at(-1);
    return entry === undefined ? this.#compacted : { term: entry.term, index: entry.index };
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#window.applied;
  }

  get compacted(): EntryId {
    return this.#compacted;
  }

  /** The term of the entry at `index`; undefined when it is not in the log (compacted away, or not there yet). */
  term(index: number): number | undefined {
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[index - this.#compacted.index - 1]?.term;
  }

  holds(entry: EntryId): boolean {
    return this.term(entry.index) === entry.term;
  }

  /** Raft §5.4.1: the log with the later last term, or the longer one of the same, is more up to date. */
  isUpToDate(their: EntryId): boolean {
    const own = this.last;
    return their.term > own.term || (their.term === own.term && their.index >= own.index);
  }

  /**
   * Appends; entries that the log holds already at these indexes, and everything behind them, are replaced (Raft
   * §5.3). A committed entry is never replaced.
   */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    invariant(
      first.index <= this.lastIndex + 1,
      `entry ${first.index} follows the last one, ${this.lastIndex}`,
    );
    invariant(first.index > this.#committed, `entry ${first.index} is behind the commit, ${this.#committed}`);
    this.#unstableBytes -= this.dataBytes(Math.max(this.#stable, first.index - 1), this.lastIndex);
    this.#entries.length = first.index - 1 - this.#compacted.index;
    this.#stable = Math.min(this.#stable, first.index - 1);
    this.#writing = Math.min(this.#writing, first.index - 1);
    for (const entry of entries) {
      invariant(
        entry.index === this.lastIndex + 1,
        `entry ${entry.index} follows the last one, ${this.lastIndex}`,
      );
      this.#entries.push(entry);
      this.#unstableBytes += entry.data.byteLength;
    }
  }

  /**
   * Takes a leader's entries behind `prev` (Raft figure 2, AppendEntries): returns the last index that is now known to
   * equal the leader's, or undefined, and changes nothing, when `prev` is not in the log.
   */
  appendBehind(prev: EntryId, entries: readonly Entry[]): number | undefined {
    if (!this.holds(prev)) return undefined;
    // What the log has already is not written again: a message may come late, and what follows in the log be newer.
    const news = entries.findIndex((entry) => !this.holds(entry));
    if (news !== -1) this.append(entries.slice(news));
    return prev.index + entries.length;
  }

  /**
   * Where a log may still agree with this one, when it has `term` at `index` and this one has not: the last index up to
   * `index` whose term is not above `term`. Term 0 when that place is no longer in the log, or before its first entry.
   */
  lastPossibleMatch(index: number, term: number): EntryId {
    for (let at = index; at > 0; at -= 1) {
      const own = this.term(at);
      if (own === undefined) return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  /** Entries from `index` on, to be sent: as many as `bytes` of data allow, one at least where there is one. */
  entriesFrom(index: number, bytes: number): readonly Entry[] {
    return this.#slice(index - 1, this.lastIndex, bytes);
  }

  /** Entries that no write has taken yet, the oldest first; they count as handed to the disk from now on. */
  takeUnwritten(): readonly Entry[] {
    const taken = this.#entries.slice(this.#writing - this.#compacted.index);
    this.#writing = this.lastIndex;
    return taken;
  }

  get unstableBytes(): number {
    return this.#unstableBytes;
  }

  /** True when no entry is on its way to the disk, or yet to go. */
  get isStable(): boolean {
    return this.#stable === this.lastIndex;
  }

  /**
   * The log is on disk up to this entry. Changes nothing when the report is out of date: a later append replaced the
   * entry by one of another term, or it is known already.
   */
  stableTo(entry: EntryId): void {
    if (entry.index <= this.#stable || this.term(entry.index) !== entry.term) return;
    invariant(
      entry.index <= this.#writing,
      `entry ${entry.index} on disk was handed out, up to ${this.#writing}`,
    );
    this.#unstableBytes -= this.dataBytes(this.#stable, entry.index);
    this.#stable = entry.index;
  }

  /** Moves the commit forward; never back. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    invariant(index <= this.lastIndex, `commit ${index} is in the log, which ends at ${this.lastIndex}`);
    this.#committed = index;
  }

  /** Committed entries that are on disk here and not handed out, as far as the bound on bytes lets them. */
  takeCommitted(): readonly Entry[] {
    if (!this.hasCommitted) return [];
    const last = this.#applicable();
    const taken = this.#slice(this.#window.applying, last, this.#window.roomBytes);
    this.#window.handedOut(taken, last);
    return taken;
  }

  get hasCommitted(): boolean {
    return this.#snapshot === undefined && this.#window.hasRoomFor(this.#applicable());
  }

  appliedTo(index: number): void {
    if (index > this.applied) this.#window.appliedTo(index, this.dataBytes(this.applied, index));
  }

  /** Committed entries that are not yet applied hold one of this kind. */
  hasUnapplied(kind: Entry["kind"]): boolean {
    for (let index = this.applied + 1; index <= this.#committed; index += 1) {
      if (this.#entries[index - this.#compacted.index - 1]?.kind === kind) return true;
    }
    return false;
  }

  /** Forgets entries up to `index`, which has been applied, but for the newest that `keep` allows. Returns the last forgotten. */
  compactTo(index: number, keep: KeptEntries): number {
    invariant(index <= this.applied, `compacted ${index} is applied, up to ${this.applied}`);
    let [to, bytes] = [index, 0];
    for (; to > this.#compacted.index && index - to < keep.entries; to -= 1) {
      bytes += this.#entries[to - this.#compacted.index - 1]?.data.byteLength ?? 0;
      if (bytes > keep.bytes) break;
    }
    const term = this.term(to);
    if (to <= this.#compacted.index || term === undefined) return this.#compacted.index;
    this.#entries.splice(0, to - this.#compacted.index);
    this.#compacted = { term, index: to };
    return to;
  }

  /** Starts over behind a snapshot, which holds every entry that was here and is committed. */
  restore(snapshot: SnapshotMeta): void {
    invariant(
      snapshot.index > this.#committed,
      `snapshot ${snapshot.index} is ahead of the commit, ${this.#committed}`,
    );
    this.#snapshot = { meta: snapshot, isTaken: false };
    this.#compacted = { term: snapshot.term, index: snapshot.index };
    this.#entries = [];
    this.#stable = snapshot.index;
    this.#unstableBytes = 0;
    this.#writing = snapshot.index;
    this.#committed = snapshot.index;
  }

  /** A snapshot is to be installed, or is being installed: neither may this member lead, nor are entries applied. */
  get hasSnapshot(): boolean {
    return this.#snapshot !== undefined;
  }

  /** The snapshot that no write has taken yet; it counts as handed to the disk from now on. */
  takeSnapshot(): SnapshotMeta | undefined {
    if (this.#snapshot === undefined || this.#snapshot.isTaken) return undefined;
    const { meta } = this.#snapshot;
    this.#snapshot = { meta, isTaken: true };
    return meta;
  }

  /** The state holds this snapshot, durably. */
  snapshotInstalled(index: number): void {
    if (this.#snapshot?.meta.index === index) this.#snapshot = undefined;
    this.#window.skipTo(index);
  }

  /** Bytes of data in the entries after `from`, up to `to`. */
  dataBytes(from: number, to: number): number {
    let bytes = 0;
    for (let index = from + 1; index <= to; index += 1) {
      bytes += this.#entries[index - this.#compacted.index - 1]?.data.byteLength ?? 0;
    }
    return bytes;
  }

  #applicable(): number {
    return Math.min(this.#committed, this.#stable);
  }

  /** Entries after `from`, up to `to`: the first, and as many more as `bytes` of data let in. */
  #slice(from: number, to: number, bytes: number): readonly Entry[] {
    const start = from - this.#compacted.index;
    const stop = to - this.#compacted.index;
    let sum = 0;
    let end = start;
    for (; end < stop; end += 1) {
      sum += this.#entries[end]?.data.byteLength ?? 0;
      if (sum > bytes && end > start) break;
    }
    return this.#entries.slice(start, end);
  }
}
