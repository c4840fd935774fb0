import { dirname, join } from "node:path";
import type { Disk, DiskFile } from "../../base/disk.ts";
import { invariant } from "../../base/invariant.ts";
import type { Entry, EntryId, KeptEntries } from "../raft/types.ts";
import { corrupt, SECTOR_BYTES, WalError } from "./format.ts";
import { Replay } from "./replay.ts";
import { newSalt, placeSegment } from "./segment-file.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";
import { formatSegmentName, NEXT_SEGMENT, parseSegmentName, type SegmentName } from "./segment-name.ts";
import { SegmentReader } from "./segment-reader.ts";
import type { WalEnd, WalOptions } from "./wal.ts";

const NONE_KEPT: KeptEntries = { entries: 0, bytes: 0 };

interface OpenedLog {
  readonly end: WalEnd;
  readonly entries: readonly Entry[];
  readonly compacted: EntryId;
}

/** Reads a log from its oldest segment to its end, checking everything, or makes an empty one. */
export async function openLog(options: WalOptions): Promise<OpenedLog> {
  const { disk, folder } = options;
  await disk.makeFolder(folder);
  await disk.syncFolder(dirname(folder));
  const names = await disk.list(folder);
  if (names.includes(NEXT_SEGMENT)) {
    await disk.remove(join(folder, NEXT_SEGMENT));
    await disk.syncFolder(folder);
  }
  const segments = segmentsOf(names);
  if (segments.length === 0) return createLog(options);
  // The process before may have been killed between a rename and its sync.
  await disk.syncFolder(folder);
  const first = await firstOfLog(disk, folder, segments);
  const opened = await readLog(options, segments.slice(first.position));
  await removeSegments(options, segments.slice(0, first.position));
  return opened;
}

/** Which entries a log has, as its first segment tells. */
export interface WalStart {
  /** The entry behind which the log begins; index 0: it has all. */
  readonly after: EntryId;
  readonly logId: bigint;
  /** Whose log it is. */
  readonly memberId: bigint;
  /** An entry follows. */
  readonly hasEntries: boolean;
}

/** Where the log in `folder` begins; undefined when there is none. Reads to the first entry. Throws WalError as `Wal.open` does. */
export async function readWalStart({
  disk,
  folder,
}: Pick<WalOptions, "disk" | "folder">): Promise<WalStart | undefined> {
  await disk.makeFolder(folder);
  const segments = segmentsOf(await disk.list(folder));
  if (segments.length === 0) return undefined;
  const { position, header } = await firstOfLog(disk, folder, segments);
  const path = join(folder, formatSegmentName(segments[position] as SegmentName));
  const isFollowed = position < segments.length - 1;
  const hasEntries = isFollowed || (await hasEntry(disk, path, header));
  return { after: header.previous, logId: header.logId, memberId: header.memberId, hasEntries };
}

/** Whether a log that is one segment has an entry, as far as it can be read: `openLog` finds what is wrong with it. */
async function hasEntry(disk: Disk, path: string, header: SegmentHeader): Promise<boolean> {
  const file = await disk.open(path, { create: false });
  try {
    const reader = new SegmentReader(file);
    const seat = { number: header.firstFrame, chain: header.chain, salt: header.salt };
    for (let position = SECTOR_BYTES; ; ) {
      const read = await reader.frame(position, seat);
      if (read.kind !== "frame") return read.kind === "damaged";
      if (read.header.entryCount > 0) return true;
      seat.number += 1;
      seat.chain = read.header.chain;
      position = read.end;
    }
  } finally {
    await file.close();
  }
}

function segmentsOf(names: readonly string[]): readonly SegmentName[] {
  return names.map(parseSegmentName).filter((name) => name !== undefined);
}

/**
 * The newest segment with which the log starts over (its frames count from 0), or else the oldest one. Those before it are
 * what a reset that was interrupted has not removed.
 */
async function firstOfLog(
  disk: Disk,
  folder: string,
  segments: readonly SegmentName[],
): Promise<{ readonly position: number; readonly header: SegmentHeader }> {
  for (let position = segments.length - 1; ; position -= 1) {
    const path = join(folder, formatSegmentName(segments[position] as SegmentName));
    const file = await disk.open(path, { create: false });
    try {
      const bytes = Buffer.alloc(SECTOR_BYTES);
      const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)), path);
      if (position === 0 || header.firstFrame === 0) return { position, header };
    } finally {
      await file.close();
    }
  }
}

async function removeSegments(
  { disk, folder }: Pick<WalOptions, "disk" | "folder">,
  segments: readonly SegmentName[],
): Promise<void> {
  for (const name of segments) await disk.remove(join(folder, formatSegmentName(name)));
  if (segments.length > 0) await disk.syncFolder(folder);
}

async function createLog(options: WalOptions): Promise<OpenedLog> {
  const { disk, folder, identity, after } = options;
  if (after.index > 0) {
    throw new WalError(
      "EWALMISMATCH",
      `Cannot read WAL in ${folder}: there is no segment, the backend has applied entry ${after.index}`,
    );
  }
  const hardState = { term: 0, vote: 0n, commit: 0 };
  const header: SegmentHeader = {
    ...identity,
    sequence: 0,
    firstFrame: 0,
    chain: 0,
    salt: newSalt(options.random),
    previous: after,
    hardState,
    logId: options.logId ?? options.random.uint64(),
  };
  const name = { sequence: 0, firstIndex: 1 };
  const from = join(folder, NEXT_SEGMENT);
  const path = join(folder, formatSegmentName(name));
  const file = await disk.open(from, { create: true });
  await file.truncate(0);
  await placeSegment(disk, { file, from, path, folder }, header);
  const end: WalEnd = {
    file,
    path,
    header,
    position: SECTOR_BYTES,
    frameNumber: 0,
    chain: 0,
    last: after,
    hardState,
    segments: [name],
    isFilled: false,
  };
  return { end, entries: [], compacted: after };
}

async function readLog(options: WalOptions, segments: readonly SegmentName[]): Promise<OpenedLog> {
  const { disk, folder, after, keep = NONE_KEPT } = options;
  let replay: Replay | undefined;
  let before: { readonly path: string; readonly end: number } | undefined;
  for (const [i, name] of segments.entries()) {
    const path = join(folder, formatSegmentName(name));
    const file = await disk.open(path, { create: false });
    const isLast = i === segments.length - 1;
    let keepOpen = false;
    try {
      const reader = new SegmentReader(file);
      const header = decodeSegmentHeader(Buffer.from(await reader.view(0, SECTOR_BYTES)), path);
      requireName(header, name, path);
      requireLogId(header, path, options.logId);
      if (replay === undefined || before === undefined) replay = new Replay(header, path, { after, keep });
      else replay.enter(header, path, before);
      const position = await readFrames(reader, { replay, path, salt: header.salt });
      if (isLast) {
        const torn = await tornEnd(reader, { path, position, header, replay });
        // A log that is refused is left as it is.
        const kept = replay.finish(folder);
        if (torn !== undefined) await cutEnd({ file, path, position, found: torn }, options);
        // A frame whose writer was killed before its sync is here, and could still be lost with the power.
        else await file.sync();
        keepOpen = true;
        return { end: await endOf({ file, path, position, header, replay }, segments, options), ...kept };
      }
      await refuseTail(reader, { path, position, header, replay });
      before = { path, end: position };
    } finally {
      if (!keepOpen) await file.close();
    }
  }
  invariant(false, "a log has a segment");
}

/** Reads frames up to the first position that does not hold a whole one. */
async function readFrames(
  reader: SegmentReader,
  segment: { readonly replay: Replay; readonly path: string; readonly salt: number },
): Promise<number> {
  let position = SECTOR_BYTES;
  for (;;) {
    const read = await reader.frame(position, segment.replay.seat(segment.salt));
    if (read.kind !== "frame") return position;
    segment.replay.accept(read.header, read.payload, { path: segment.path, offset: position });
    position = read.end;
  }
}

interface SegmentEnd {
  readonly path: string;
  readonly position: number;
  readonly header: SegmentHeader;
  readonly replay: Replay;
}

/** In a segment that is followed by another nothing can be torn: the next one is made after the last sync. */
async function refuseTail(reader: SegmentReader, end: SegmentEnd): Promise<void> {
  const read = await reader.frame(end.position, end.replay.seat(end.header.salt));
  if (read.kind === "torn" || read.kind === "damaged") throw corrupt(end.path, end.position, read.found);
}

/**
 * The end of the log: zeros to the end of the file (undefined), or a torn frame, and what is wrong with it. One write at most
 * was under way when the process ended, so a frame behind the torn place proves that it was no crash that tore it.
 */
async function tornEnd(reader: SegmentReader, end: SegmentEnd): Promise<string | undefined> {
  const { path, position } = end;
  const read = await reader.frame(position, end.replay.seat(end.header.salt));
  if (read.kind === "frame" || read.kind === "damaged") {
    throw corrupt(path, position, read.kind === "damaged" ? read.found : "a frame appeared while reading");
  }
  const behind = await reader.scan(position + (read.kind === "torn" ? SECTOR_BYTES : 0), end.header.salt);
  const found = read.kind === "torn" ? read.found : "the frame's first sector is all zeros";
  if (behind.frame !== undefined) {
    throw corrupt(path, position, `${found}, and another frame follows at offset ${behind.frame}`);
  }
  return read.kind === "blank" && behind.data === undefined ? undefined : found;
}

/** Puts zeros in the place of a torn frame. */
async function cutEnd(
  end: { readonly file: DiskFile; readonly path: string; readonly position: number; readonly found: string },
  { logger }: WalOptions,
): Promise<void> {
  const { file, path, position, found } = end;
  logger.warn({ path, offset: position, found }, "cut a torn frame off the end of the WAL");
  const length = await file.size();
  await file.truncate(position);
  await file.truncate(length);
  await file.sync();
}

async function endOf(
  end: SegmentEnd & { readonly file: DiskFile },
  segments: readonly SegmentName[],
  options: WalOptions,
): Promise<WalEnd> {
  const seat = end.replay.seat(end.header.salt);
  return {
    file: end.file,
    path: end.path,
    header: end.header,
    position: end.position,
    frameNumber: seat.number,
    chain: seat.chain,
    last: end.replay.last,
    hardState: end.replay.hardState,
    segments,
    isFilled: (await end.file.size()) >= options.segmentBytes,
  };
}

/** The backend must be the one that this log's entries were applied to. */
function requireLogId(header: SegmentHeader, path: string, expected: bigint | undefined): void {
  if (expected === undefined || expected === header.logId) return;
  throw new WalError(
    "EWALMISMATCH",
    `Cannot read WAL segment ${path}: it is of log ${header.logId.toString(16)}, the backend belongs to log ${expected.toString(16)}`,
  );
}

/** The names must count up without a gap, and say what the headers say. */
function requireName(header: SegmentHeader, name: SegmentName, path: string): void {
  if (header.sequence === name.sequence && header.previous.index + 1 === name.firstIndex) return;
  const found = `the header is of segment ${header.sequence} from entry ${header.previous.index + 1}`;
  throw corrupt(path, 0, `${found}, expected segment ${name.sequence} from entry ${name.firstIndex}`);
}
