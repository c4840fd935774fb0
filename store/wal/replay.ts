import { invariant } from "../../base/invariant.ts";
import type { Entry, EntryId, HardState, KeptEntries } from "../raft/types.ts";
import { corrupt, hex32, WalError } from "./format.ts";
import { decodeEntries, type FrameHeader, type FrameSeat } from "./frame.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { TermRuns } from "./term-runs.ts";

/**
 * Puts a log together from its frames, in order. Of the entries up to `after`, which the backend holds already, all are
 * read and checked and only the newest kept, as many as `keep` lets in, so that memory is bounded.
 */
export class Replay {
  readonly #after: EntryId;
  readonly #keptBytesMax: number;
  /** Entries behind this index are kept. */
  #keptFrom: number;
  /** Of those among them that `after` covers. */
  #keptBytes = 0;
  readonly #terms: TermRuns;
  #entries: Entry[] = [];
  #last: EntryId;
  #hardState: HardState;
  #nextFrame: number;
  #chain: number;

  /** Starts at the oldest segment. Throws WalError "EWALMISMATCH" when entries behind `after` are gone. */
  constructor(
    oldest: SegmentHeader,
    path: string,
    { after, keep }: { readonly after: EntryId; readonly keep: KeptEntries },
  ) {
    if (oldest.previous.index > after.index) {
      throw new WalError(
        "EWALMISMATCH",
        `Cannot read WAL segment ${path}: the log begins behind entry ${oldest.previous.index}, the backend has applied entry ${after.index}`,
      );
    }
    this.#after = after;
    this.#keptBytesMax = keep.bytes;
    this.#keptFrom = Math.max(oldest.previous.index, after.index - keep.entries);
    this.#terms = new TermRuns(oldest.previous);
    this.#last = oldest.previous;
    this.#hardState = oldest.hardState;
    this.#nextFrame = oldest.firstFrame;
    this.#chain = oldest.chain;
  }

  /** Goes on with the segment behind the one just read to `end`; they must fit together. */
  enter(header: SegmentHeader, path: string, before: { readonly path: string; readonly end: number }): void {
    if (header.firstFrame !== this.#nextFrame || header.chain !== this.#chain) {
      const found = `the segment ends before frame ${this.#nextFrame} with CRC32C ${hex32(this.#chain)}`;
      const expected = `${path} goes on at frame ${header.firstFrame} after CRC32C ${hex32(header.chain)}`;
      throw corrupt(before.path, before.end, `${found}, but ${expected}`);
    }
    if (header.previous.index !== this.#last.index || header.previous.term !== this.#last.term) {
      const found = `the header follows entry ${header.previous.index} of term ${header.previous.term}`;
      throw corrupt(path, 0, `${found}, expected entry ${this.#last.index} of term ${this.#last.term}`);
    }
  }

  /** Takes the frame at `offset`; copies what it keeps of `payload`. */
  accept(
    header: FrameHeader,
    payload: Buffer,
    place: { readonly path: string; readonly offset: number },
  ): void {
    for (const entry of decodeEntries(payload, header.entryCount)) {
      if (entry.index > this.#last.index + 1 || entry.index === 0) {
        throw corrupt(
          place.path,
          place.offset,
          `there is entry ${entry.index}, expected ${this.#last.index + 1}`,
        );
      }
      const before = this.#terms.at(entry.index - 1);
      if (before !== undefined && entry.term < before) {
        const found = `entry ${entry.index} has term ${entry.term}, expected ${before} or more`;
        throw corrupt(place.path, place.offset, `${found}, as the entry before it`);
      }
      this.#append(entry);
    }
    this.#hardState = header.hardState;
    this.#nextFrame = header.number + 1;
    this.#chain = header.chain;
  }

  /** The next frame's place; its CRCs are seeded with the segment's `salt`. */
  seat(salt: number): FrameSeat {
    return { number: this.#nextFrame, chain: this.#chain, salt };
  }

  get last(): EntryId {
    return this.#last;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  /**
   * The entries that were kept, the first directly behind `compacted`. Throws WalError "EWALMISMATCH" when this is not the
   * log that the backend applied.
   */
  finish(folder: string): { readonly entries: readonly Entry[]; readonly compacted: EntryId } {
    const { index, term } = this.#after;
    if (this.#last.index < index) {
      throw new WalError(
        "EWALMISMATCH",
        `Cannot read WAL in ${folder}: it ends at entry ${this.#last.index}, the backend has applied entry ${index}`,
      );
    }
    const found = this.#terms.at(index);
    if (found !== term) {
      throw new WalError(
        "EWALMISMATCH",
        `Cannot read WAL in ${folder}: entry ${index} has term ${found}, the backend has applied it with term ${term}`,
      );
    }
    this.#dropOldest();
    const compactedTerm = this.#terms.at(this.#keptFrom);
    invariant(compactedTerm !== undefined, `the term of entry ${this.#keptFrom} was read`);
    return { entries: this.#entries, compacted: { index: this.#keptFrom, term: compactedTerm } };
  }

  /** An entry at an index that is there already replaces it and everything behind it (Raft §5.3). */
  #append(entry: Entry): void {
    if (entry.index <= this.#last.index) {
      const replaced = this.#entries.splice(Math.max(0, entry.index - 1 - this.#keptFrom));
      for (const each of replaced) this.#keptBytes -= this.#bytesOf(each);
    }
    if (entry.index > this.#keptFrom) {
      this.#entries.push({ ...entry, data: Buffer.from(entry.data) });
      this.#keptBytes += this.#bytesOf(entry);
      if (this.#keptBytes > 2 * this.#keptBytesMax) this.#dropOldest();
    }
    this.#last = { term: entry.term, index: entry.index };
    this.#terms.append(this.#last);
  }

  /** An entry that is still to be applied is kept, whatever its size. */
  #bytesOf({ index, data }: Entry): number {
    return index <= this.#after.index ? data.byteLength : 0;
  }

  /** Down to the bytes that may be kept. */
  #dropOldest(): void {
    let dropped = 0;
    for (; this.#keptBytes > this.#keptBytesMax; dropped += 1) {
      this.#keptBytes -= this.#bytesOf(this.#entries[dropped] as Entry);
    }
    this.#entries.splice(0, dropped);
    this.#keptFrom += dropped;
  }
}
