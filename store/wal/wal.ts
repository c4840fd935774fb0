import { join } from "node:path";
import type { Disk, DiskFile } from "../../base/disk.ts";
import { errorMessage } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Entry, EntryId, HardState, KeptEntries } from "../raft/types.ts";
import { SECTOR_BYTES, WalError } from "./format.ts";
import { FrameEncoder } from "./frame.ts";
import { NextSegment } from "./next-segment.ts";
import { openLog } from "./open-log.ts";
import { newSalt, placeSegment } from "./segment-file.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { formatSegmentName, type SegmentName } from "./segment-name.ts";

/** Whose log it is; written when it is made, and kept from then on. */
export interface WalIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

export interface WalOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
  readonly random: Random;
  /** For a log that is made now; an existing one has its own. */
  readonly identity: WalIdentity;
  /** Last entry whose effect the backend holds durably; entries up to it are checked. */
  readonly after: EntryId;
  /** Entries up to `after` that are kept all the same, as far as the log has them, for followers that lag. Default: none. */
  readonly keep?: KeptEntries;
  /** Of the log that the backend belongs to; undefined while it belongs to none. */
  readonly logId?: bigint | undefined;
  /** Size from which a segment is followed by the next; one frame above it passes alone. */
  readonly segmentBytes: number;
}

export interface OpenedWal {
  readonly wal: Wal;
  readonly identity: WalIdentity;
  /** For the backend to note, with the first entry that it applies; 0: the log is of before there were ids. */
  readonly logId: bigint;
  readonly hardState: HardState;
  /** Contiguous, the first directly behind `compacted`. */
  readonly entries: readonly Entry[];
  /** Id of `after`, or of an earlier entry when some before it are kept. */
  readonly compacted: EntryId;
}

/** The end of the log: where, and after what, the next frame goes. */
export interface WalEnd {
  readonly file: DiskFile;
  readonly path: string;
  readonly header: SegmentHeader;
  readonly position: number;
  readonly frameNumber: number;
  readonly chain: number;
  readonly last: EntryId;
  readonly hardState: HardState;
  /** The segments there are, oldest first, the one that ends the log included. */
  readonly segments: readonly SegmentName[];
  /** True when the file was filled with zeros ahead of what is written. */
  readonly isFilled: boolean;
}

/** An append to an unfilled first segment this far makes the next one worth its zeros. */
const UNFILLED_BYTES = 256 * 1024;

/**
 * The write-ahead log: batches of hard state and entries in segments, one write and one sync a batch
 * (docs/file-formats.md). One append at a time. After an error nothing more is written: what is on disk is unknown.
 */
export class Wal implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #random: Random;
  readonly #segmentBytes: number;
  readonly #next: NextSegment;
  readonly #encoder = new FrameEncoder();
  readonly #segments: SegmentName[];
  #end: WalEnd;
  #isAppending = false;
  #removing: Promise<void> = Promise.resolve();
  #failure: WalError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: WalOptions, end: WalEnd) {
    this.#disk = options.disk;
    this.#folder = options.folder;
    this.#random = options.random;
    this.#segmentBytes = options.segmentBytes;
    this.#next = new NextSegment(options);
    this.#segments = [...end.segments];
    this.#end = end;
  }

  /**
   * Reads the log in `folder`, or makes it. A torn last frame is cut off, with a warning. Throws WalError: "EWALCORRUPT"
   * for any other damage, "EWALVERSION" for a newer format, "EWALMISMATCH" when the log does not fit the backend.
   */
  static async open(options: WalOptions): Promise<OpenedWal> {
    const { end, entries, compacted } = await openLog(options);
    const { clusterId, memberId, logId } = end.header;
    return {
      wal: new Wal(options, end),
      identity: { clusterId, memberId },
      logId,
      hardState: end.hardState,
      entries,
      compacted,
    };
  }

  /**
   * Makes a batch durable; it is when the promise resolves. Without a `hardState` the last one holds on. Rejects with
   * WalError "EWALWRITE", from then on always: the caller must end the process.
   */
  append(batch: {
    readonly hardState: HardState | undefined;
    readonly entries: readonly Entry[];
  }): Promise<void> {
    return this.#alone(() => this.#append(batch));
  }

  /**
   * The log starts over behind a snapshot: it is empty, its next entry is the one after `to`. Durable when it resolves, and
   * never in between: a crash leaves the log as it was, or this. From then on a backend that has not applied `to` needs
   * the snapshot, which must be on disk before. Counts as an append; the same errors.
   */
  reset(start: { readonly to: EntryId; readonly hardState: HardState }): Promise<void> {
    return this.#alone(async () => {
      const name = await this.#goOverTo({
        previous: start.to,
        hardState: start.hardState,
        firstFrame: 0,
        chain: 0,
      });
      await this.#remove((oldest) => oldest !== name);
    });
  }

  /** Removes the segments that hold no entry above `index`, oldest first; the newest stays. */
  cut(index: number): Promise<void> {
    return this.#remove((_, second) => second.firstIndex <= index + 1);
  }

  /** Idempotent. What was appended is durable already. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #alone(write: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    invariant(!this.#isAppending, "one append to the WAL at a time");
    this.#isAppending = true;
    try {
      await write();
    } catch (error) {
      const { path, position } = this.#end;
      this.#failure = new WalError(
        "EWALWRITE",
        `Cannot write WAL segment ${path} at offset ${position}: ${errorMessage(error)}`,
        { cause: error },
      );
      throw this.#failure;
    } finally {
      this.#isAppending = false;
    }
  }

  /** Removes the oldest segment while there is another and the test says so; one removal at a time. */
  #remove(isOver: (oldest: SegmentName, second: SegmentName) => boolean): Promise<void> {
    this.#removing = this.#removing.then(async () => {
      for (;;) {
        const [oldest, second] = this.#segments;
        if (oldest === undefined || second === undefined || !isOver(oldest, second)) return;
        await this.#disk.remove(join(this.#folder, formatSegmentName(oldest)));
        // Before the next removal: a crash must not bring back an older segment without the one behind it.
        await this.#disk.syncFolder(this.#folder);
        this.#segments.shift();
      }
    });
    return this.#removing;
  }

  async #append(batch: {
    readonly hardState: HardState | undefined;
    readonly entries: readonly Entry[];
  }): Promise<void> {
    const hardState = batch.hardState ?? this.#end.hardState;
    if (this.#mustRoll(batch.entries)) {
      const { last: previous, frameNumber: firstFrame, chain } = this.#end;
      await this.#goOverTo({ previous, hardState: this.#end.hardState, firstFrame, chain });
    }
    const { header, position, frameNumber, chain, file } = this.#end;
    const seat = { number: frameNumber, chain, salt: header.salt };
    const frame = this.#encoder.encode({ hardState, entries: batch.entries }, seat);
    await file.write([frame.bytes], position);
    await file.sync();
    const last = batch.entries.at(-1) ?? this.#end.last;
    this.#end = {
      ...this.#end,
      position: position + frame.bytes.length,
      frameNumber: frameNumber + 1,
      chain: frame.chain,
      hardState,
      last: { term: last.term, index: last.index },
    };
    if (this.#end.position > this.#prepareFrom()) this.#next.prepare();
  }

  #prepareFrom(): number {
    return this.#end.isFilled ? this.#segmentBytes / 2 : Math.min(UNFILLED_BYTES, this.#segmentBytes / 2);
  }

  #mustRoll(entries: readonly Entry[]): boolean {
    if (this.#end.position === SECTOR_BYTES) return false;
    if (!this.#end.isFilled && this.#next.isReady) return true;
    const dataBytes = entries.reduce((sum, entry) => sum + entry.data.byteLength, 0);
    return this.#end.position + dataBytes >= this.#segmentBytes;
  }

  /** Goes over to the next segment, which goes on where the log ends or, with other values, starts over. */
  async #goOverTo(
    start: Pick<SegmentHeader, "previous" | "hardState" | "firstFrame" | "chain">,
  ): Promise<SegmentName> {
    const isFilled = this.#next.isReady;
    const file = await this.#next.take();
    const { header } = this.#end;
    const next: SegmentHeader = {
      ...header,
      ...start,
      sequence: header.sequence + 1,
      salt: newSalt(this.#random),
    };
    const name = { sequence: next.sequence, firstIndex: next.previous.index + 1 };
    const path = join(this.#folder, formatSegmentName(name));
    await placeSegment(this.#disk, { file, from: this.#next.path, path, folder: this.#folder }, next);
    await this.#end.file.close();
    this.#segments.push(name);
    this.#end = {
      file,
      path,
      header: next,
      position: SECTOR_BYTES,
      frameNumber: next.firstFrame,
      chain: next.chain,
      last: next.previous,
      hardState: next.hardState,
      segments: this.#segments,
      isFilled,
    };
    return name;
  }

  async #close(): Promise<void> {
    try {
      await this.#next.close();
    } finally {
      await this.#end.file.close();
    }
  }
}
