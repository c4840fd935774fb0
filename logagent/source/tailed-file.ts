import { type BigIntStats, closeSync, fstatSync } from "node:fs";
import type { LossReason } from "../checkpoint/loss.ts";
import { type BytesHash, type CheckpointRecord, type FileIdentity, NO_BYTES } from "../checkpoint/record.ts";
import type { Flush, LinePosition } from "../framing/types.ts";
import type { ContentLedger } from "./content-ledger.ts";
import type { HeldLine } from "./held-line.ts";
import { KERNEL_TICK_MS } from "./kernel-tick.ts";
import type { LooksDue } from "./looks-due.ts";
import type { HeldFile, HoldState } from "./open-files.ts";

/** How often a held file is looked at. */
export const LOOK_MS = 250;
/** How often one that has not grown for LOOK_IDLE_AFTER_MS is looked at. */
export const LOOK_IDLE_MS = 1_000;
const LOOK_IDLE_AFTER_MS = 30_000;
/** Of `st_blocks`, whatever the filesystem's own are. */
const BLOCK_BYTES = 512;

/** Where a held file is now, as far as its path goes. */
export type Place =
  | { readonly kind: "at its path" }
  /** Its path is free or another file's: it was renamed, deleted, or a link was switched. */
  | { readonly kind: "moved"; readonly sinceMs: number };

/** How far a moved file is done. */
export type Drain =
  | { readonly kind: "open" }
  /** At its end and quiet: its successor has its turn. It is held some time longer, for late growth. */
  | { readonly kind: "drained"; readonly sinceMs: number };

/** What a look found, against the look before. */
export interface Look {
  /** Where looks before could compare nothing: the largest that they found. */
  readonly sizeBefore: number;
  /** Modification or change time moved, or something happened too shortly before the last look for that to be sure. */
  readonly touched: boolean;
}

/** An open file and how far it is read. All times are monotonic milliseconds unless they are the kernel's. */
export class TailedFile implements FileIdentity, HeldFile {
  readonly fd: number;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly birthtimeNs: bigint;
  /** Device and inode: unique among files that are held. */
  readonly key: string;
  /** The path whose turns it takes with its predecessors and successors. */
  readonly lanePath: string;
  content: ContentLedger;
  /** Has taken the place of `content`, of which lines are still being delivered. */
  next: { readonly content: ContentLedger; readonly reason: LossReason } | undefined;
  /** The next byte to deliver: the start of a line, or of a part of one. */
  offset: number;
  /** Of the bytes before `offset`, as they were read. */
  tail: BytesHash;
  /** What was sent of `content`, perhaps before it was opened, ends here at the latest: these bytes have its id. */
  sentTo: number;
  /** Behind the last byte that was looked at for lines: below it there is no further whole line. */
  readTo: number;
  /** Behind the last byte in the chunk of which lines are being delivered: these no longer need the file. */
  chunkTo: number | undefined;
  /** When it was read to its end last. */
  heldLine: HeldLine | undefined;
  place: Place = { kind: "at its path" };
  drain: Drain = { kind: "open" };
  /** Set while lines of it are read and delivered; never two at a time. */
  shipping: Promise<void> | undefined;
  /** When the delivery that now waits was given to the sink. */
  deliveringSinceMs: number | undefined;
  /** Ends `shipping` early. */
  abort = new AbortController();
  lookedAtMs: number | undefined;
  grownAtMs: number;
  /** What stands at `offset` of `content`, where that is no start of a line. */
  inLine:
    | { readonly content: ContentLedger; readonly offset: number; readonly position: LinePosition }
    | undefined;
  /** What was flushed, or could not be, since the file has grown last. */
  flushed: { readonly grownAtMs: number; readonly flush: Flush } | undefined;
  /** In a row. */
  failedReads = 0;
  cutWarned = false;
  lateWarned = false;
  size: number;
  /** What it takes of the disk, as of the last look. */
  #diskBytes: number;
  /** What is in a compressed file: it has no name of its own. */
  readonly isUnpacked: boolean;
  isDeleted = false;
  /** Another entry owns its path now: it is let go as soon as it is settled. */
  isLeaving = false;
  readonly heldSinceMs: number;
  /** When everything there was had been delivered. */
  caughtUpAtMs: number | undefined;
  /** Something happened to it, and since then no look was so late that what happens within one tick must have been there. */
  #isFresh = true;
  /** When its present times were seen first. */
  #timesSinceMs: number;
  /** The largest since something could be compared, as of the look before the last one. */
  #sizeBefore = 0;
  /** It was seen to be so large, and nothing was compared: it is another content, perhaps. */
  doubtedSize = 0;
  #mtimeMs: number;
  #ctimeMs: number;
  #closed = false;
  #nextLookMs = 0;
  #givesWaySinceMs: number | undefined;
  /** Set while it is held. */
  #looks: LooksDue<TailedFile> | undefined;

  constructor(options: {
    readonly fd: number;
    readonly identity: FileIdentity;
    readonly lanePath: string;
    readonly content: ContentLedger;
    readonly nowMs: number;
    readonly isUnpacked?: boolean;
  }) {
    this.isUnpacked = options.isUnpacked ?? false;
    this.fd = options.fd;
    this.dev = options.identity.dev;
    this.ino = options.identity.ino;
    this.birthtimeNs = options.identity.birthtimeNs;
    this.key = keyOf(options.identity);
    this.lanePath = options.lanePath;
    this.content = options.content;
    this.offset = this.record.offset;
    this.tail = this.record.tail;
    this.sentTo = this.record.furthest?.to ?? 0;
    const { position } = this.record;
    if (position !== undefined) this.inLine = { content: this.content, offset: this.offset, position };
    this.readTo = this.offset;
    this.grownAtMs = options.nowMs;
    this.#timesSinceMs = options.nowMs;
    this.heldSinceMs = options.nowMs;
    const stats = fstatSync(this.fd);
    this.size = stats.size;
    this.#diskBytes = stats.blocks * BLOCK_BYTES;
    this.#mtimeMs = stats.mtimeMs;
    this.#ctimeMs = stats.ctimeMs;
  }

  /** As of the last look, in milliseconds since the Unix epoch. */
  get mtimeMs(): number {
    return this.#mtimeMs;
  }

  get record(): CheckpointRecord {
    return this.content.record;
  }

  /** Bytes that were not looked at for lines. */
  get hasUnread(): boolean {
    return this.size > this.readTo;
  }

  /** What it takes of the disk though no name leads to it, because something of it is not acknowledged; else 0. */
  get heldDeletedBytes(): number {
    const { ackedTo } = this.next?.content ?? this.content;
    return this.isDeleted && this.size > ackedTo ? this.#diskBytes : 0;
  }

  /** What it would cost to close it. */
  get hold(): HoldState {
    const isShipped = this.offset >= this.size && this.content.isSettled;
    // While it cannot be read it may have another content, however large it is.
    const isAtEnd = this.shipping === undefined && isShipped && this.failedReads === 0;
    if (this.next !== undefined || this.isLeaving) return { kind: "bound" };
    if (this.drain.kind === "drained" && isAtEnd) return { kind: "lingering", sinceMs: this.drain.sinceMs };
    if (this.place.kind === "moved" || this.isDeleted) return { kind: "bound" };
    return isAtEnd ? { kind: "idle", sinceMs: this.grownAtMs } : { kind: "busy", sinceMs: this.heldSinceMs };
  }

  /** For telling later, when it is closed, whether it has changed. */
  stamp(): FileStamp {
    const { size, mtimeNs, ctimeNs, birthtimeNs } = fstatSync(this.fd, { bigint: true });
    return { size, mtimeNs, ctimeNs, birthtimeNs };
  }

  get nextLookMs(): number {
    return this.#nextLookMs;
  }

  set nextLookMs(dueMs: number) {
    this.#nextLookMs = dueMs;
    this.#looks?.set(this, dueMs);
  }

  get givesWaySinceMs(): number | undefined {
    return this.#givesWaySinceMs;
  }

  set givesWaySinceMs(sinceMs: number | undefined) {
    this.#givesWaySinceMs = sinceMs;
    this.#looks?.setAlways(this, sinceMs !== undefined);
  }

  /** It is held: `looks` knows from now on when it is to be looked at, whoever changes that. */
  joinLooks(looks: LooksDue<TailedFile>): void {
    this.#looks = looks;
    looks.set(this, this.#nextLookMs);
    looks.setAlways(this, this.#givesWaySinceMs !== undefined);
  }

  /** It is held no more. */
  leaveLooks(): void {
    this.#looks?.delete(this);
    this.#looks = undefined;
  }

  isLookDue(nowMs: number): boolean {
    return nowMs >= this.nextLookMs || this.givesWaySinceMs !== undefined;
  }

  /** Asks the kernel for size and times. Throws what `fstat` throws. */
  look(nowMs: number): Look {
    const stats = fstatSync(this.fd);
    const sizeBefore = this.size;
    const isChanged = stats.mtimeMs !== this.#mtimeMs || stats.ctimeMs !== this.#ctimeMs;
    const touched = isChanged || this.#isFresh;
    if (isChanged) this.#timesSinceMs = nowMs;
    this.#isFresh = touched && nowMs - this.#timesSinceMs < KERNEL_TICK_MS;
    this.lookedAtMs = nowMs;
    if (stats.size !== sizeBefore) this.grownAtMs = nowMs;
    this.size = stats.size;
    this.#diskBytes = stats.blocks * BLOCK_BYTES;
    this.#mtimeMs = stats.mtimeMs;
    this.#ctimeMs = stats.ctimeMs;
    this.isDeleted = stats.nlink === 0 && !this.isUnpacked;
    this.nextLookMs = nowMs + (nowMs - this.grownAtMs > LOOK_IDLE_AFTER_MS ? LOOK_IDLE_MS : LOOK_MS);
    this.#sizeBefore = Math.max(sizeBefore, this.doubtedSize);
    this.doubtedSize = 0;
    return { sizeBefore: this.#sizeBefore, touched };
  }

  /** Of what the last look found, nothing could be compared: to the next one it is as it was before that. */
  doubt(): void {
    this.#isFresh = true;
    this.doubtedSize = Math.max(this.size, this.#sizeBefore);
  }

  /** Goes on with another content, from its start. */
  startOver(content: ContentLedger, nowMs: number): void {
    this.content = content;
    this.next = undefined;
    this.offset = 0;
    this.tail = NO_BYTES;
    this.sentTo = 0;
    this.readTo = 0;
    this.heldLine = undefined;
    this.size = content.record.seen;
    this.doubtedSize = 0;
    this.grownAtMs = nowMs;
    this.drain = { kind: "open" };
  }

  /** Moves on behind what was delivered. */
  advance(to: number, tail: BytesHash): void {
    this.offset = to;
    this.tail = tail;
    this.#isFresh = true;
  }

  /** Whoever takes the descriptor closes it. Not while it is shipping. */
  takeDescriptor(): number {
    this.#closed = true;
    return this.fd;
  }

  /** Not while it is shipping. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
  }
}

/** What must be unchanged for a file that was let go to need no second look. */
export type FileStamp = Pick<BigIntStats, "size" | "mtimeNs" | "ctimeNs" | "birthtimeNs">;

export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return (
    a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.birthtimeNs === b.birthtimeNs
  );
}

/** By which the older of two files at a path is known: where births are not kept, what was rotated earlier was written earlier. */
export function bornNs({ birthtimeNs, mtimeNs }: Pick<FileStamp, "birthtimeNs" | "mtimeNs">): bigint {
  return birthtimeNs === 0n ? mtimeNs : birthtimeNs;
}

/** The name of an identity among files that exist at the same time. */
export function keyOf(identity: Pick<FileIdentity, "dev" | "ino">): string {
  return `${identity.dev}:${identity.ino}`;
}
