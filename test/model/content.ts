import { hash } from "node:crypto";
import type { BytesHash } from "../../logagent/checkpoint/record.ts";
import { ByteSet } from "./byte-set.ts";
import type { Inode } from "./inode.ts";

/** What a file held between its birth or a truncation and the next one: each byte that ever was in it. */
export class Content {
  readonly number: number;
  readonly inode: Inode;
  /** Path in whose turns it is: where it was born. */
  readonly lane: string;
  /** The most that the agent has seen of it, as far as the agent that lives knows. */
  seen = 0;
  /** No longer in any file: truncated away. */
  isCut = false;
  /** It was cut between two calls of one look, the one that asks for the size and the one that reads. */
  isCutAmid = false;
  /** Bytes that were there when it was cut, or when its last name went. */
  cutAt = 0;
  /** From here on it could not be read: of what is there the agent knows no more than the size. */
  unreadFrom: number | undefined;
  /** There was a time when nobody could have found it: what the agent had not seen of it may be gone. */
  missed = false;
  /** There was a time when the agent could not have held it. */
  unheld = false;
  /** Something was appended after it had left its path. */
  isLate = false;
  hasMoved = false;
  /** It is what a program made of another file to save room. */
  isPacked = false;
  /** Path at which there is a packed copy; it itself is gone. */
  packedAt: string | undefined;
  /** Anything but written, rotated and deleted: its place among others is nobody's promise. */
  isOdd = false;
  /** One at its path could not be read for so long that those behind it did not wait. */
  isUnordered = false;
  /** Made by a copytruncate. */
  isCopy = false;
  /** Delivered at least once. */
  readonly #sent = new ByteSet();
  /** Acknowledged or refused for good: settled. */
  readonly #settled = new ByteSet();
  /** That begin alike. */
  readonly #alike: { readonly content: Content; readonly bytes: number }[] = [];
  #room = Buffer.alloc(256);
  #length = 0;

  constructor(number: number, inode: Inode, lane: string) {
    this.number = number;
    this.inode = inode;
    this.lane = lane;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  get size(): number {
    return this.#length;
  }

  /** Behind the last newline. */
  get wholeLinesTo(): number {
    return this.bytes.lastIndexOf(10) + 1;
  }

  get sent(): ByteSet {
    return this.#ofAlike((content) => content.#sent);
  }

  get settled(): ByteSet {
    return this.#ofAlike((content) => content.#settled);
  }

  noteSent(from: number, to: number): void {
    this.#sent.add(from, to);
  }

  noteSettled(from: number, to: number): void {
    this.#settled.add(from, to);
  }

  noteRead(from: number, to: number): void {
    const { unreadFrom } = this;
    if (unreadFrom === undefined || from > unreadFrom || to <= unreadFrom) return;
    this.unreadFrom = to < this.size ? to : undefined;
  }

  /** Its first bytes are those of another content: what becomes of those becomes of these, and the other way round. */
  beginLike(content: Content, bytes: number): void {
    this.#alike.push({ content, bytes });
    content.#alike.push({ content: this, bytes });
    this.append(Buffer.from(content.bytes.subarray(0, bytes)));
  }

  append(bytes: Buffer): void {
    const end = this.#length + bytes.byteLength;
    if (end > this.#room.byteLength) {
      const room = Buffer.alloc(Math.max(end, 2 * this.#room.byteLength));
      this.bytes.copy(room);
      this.#room = room;
    }
    bytes.copy(this.#room, this.#length);
    this.#length = end;
  }

  /** How many of these bytes it holds at this place, up to the first that differs. */
  sharedBytes(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.byteLength, this.#length - at);
    if (end <= 0 || bytes[0] !== this.#room[at]) return 0;
    if (bytes.subarray(0, end).equals(this.#room.subarray(at, at + end))) return end;
    for (let i = 0; i < end; i += 1) if (bytes[i] !== this.#room[at + i]) return i;
    return end;
  }

  /** Is this the hash of its head? */
  beginsWith({ length, hash: expected }: BytesHash): boolean {
    return (
      length <= this.#length && hash("sha256", this.bytes.subarray(0, length), "hex").startsWith(expected)
    );
  }

  /** Does it hold these bytes at this place? */
  holds(bytes: Buffer, at: number): boolean {
    const end = at + bytes.byteLength;
    return end <= this.#length && bytes.equals(this.#room.subarray(at, end));
  }

  /** The unfinished line at the end, as long as its file exists; also when the file was shortened to that. */
  get held(): ByteSet {
    return this.#ofAlike((content) => content.#held());
  }

  /** Of what was cut off, is there nothing by which the agent could know? */
  isUnnoticed(contents: readonly Content[]): boolean {
    const { seen, inode } = this;
    if (seen === 0 || this.cutAt <= seen || inode.paths.size === 0) return true;
    // Elsewhere it is not opened while it is as long as what was shipped.
    const isAsLong = (next: Content) => next.inode === inode && next.hasMoved && next.size === seen;
    return this.unnoticedSuccessors(contents).length > 0 || contents.some(isAsLong);
  }

  /** That were in the file after it and begin with all that was seen of it, or, where no more than its size was seen, are as large. */
  unnoticedSuccessors(contents: readonly Content[]): readonly Content[] {
    const { seen, unreadFrom = seen } = this;
    const known = this.bytes.subarray(0, Math.min(seen, unreadFrom));
    return contents.filter((next) => {
      if (next.inode !== this.inode || next.number <= this.number) return false;
      return next.holds(known, 0) && (unreadFrom >= seen || next.size >= seen);
    });
  }

  /** That were in the file before it, when it could not be read, and for which the agent took it. */
  unnoticedPredecessors(contents: readonly Content[]): readonly Content[] {
    const { unreadFrom } = this;
    if (unreadFrom === undefined) return [];
    const known = this.bytes.subarray(0, unreadFrom);
    return contents.filter(
      (before) => before.inode === this.inode && before.number < this.number && before.holds(known, 0),
    );
  }

  #held(): ByteSet {
    const held = new ByteSet();
    if (!this.isCut && this.inode.paths.size > 0) held.add(this.wholeLinesTo, this.size);
    return held;
  }

  #ofAlike(own: (content: Content) => ByteSet, from?: Content): ByteSet {
    if (this.#alike.length === 0) return own(this);
    const all = new ByteSet();
    all.addAll(own(this));
    for (const { content, bytes } of this.#alike) {
      if (content === from) continue;
      for (const range of content.#ofAlike(own, this).ranges) all.add(range.from, Math.min(range.to, bytes));
    }
    return all;
  }

  toString(): string {
    const { number, lane, seen, size, isCut, missed, unheld, isLate, hasMoved, isOdd } = this;
    const facts = {
      seen,
      size,
      isCut,
      missed,
      unheld,
      isLate,
      hasMoved,
      isOdd,
      paths: [...this.inode.paths],
    };
    return `c${number} of ${lane} ${JSON.stringify(facts)}`;
  }
}
