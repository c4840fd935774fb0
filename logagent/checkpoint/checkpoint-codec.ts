import { crc32 } from "node:zlib";
import { CodedError, errorMessage } from "../../base/errors.ts";
import { accountOfOld, fullAccount, newRemovedSums, type RemovedSums, shortAccount } from "./account.ts";
import type { CheckpointRecord } from "./record.ts";

/** All that is kept: how far each file is shipped, and which entries have been applied before (`from: end` asks). */
export interface CheckpointContent {
  readonly records: readonly CheckpointRecord[];
  /** `path` of an entry → when it was applied last, milliseconds since the Unix epoch. */
  readonly entries: ReadonlyMap<string, number>;
  /** Of the files that are not among the records any more. */
  readonly removed: RemovedSums;
  /** Number of the last loss record that the accounts know; 0: there was none. */
  readonly losses: number;
  /** The agent ended in peace: nothing was sent since they were written, and records are sure unless they say otherwise. */
  readonly isClosed: boolean;
}

export const CHECKPOINT_VERSION = 2;
const FORMAT = "logagent checkpoints";

interface Header {
  readonly format: string;
  readonly version: number;
  readonly crc32: number;
  readonly isClosed?: boolean;
}

/** Lines that are encoded before the event loop may have its turn. */
const LINES_PER_STEP = 250;

/** As everything is now. What is encoded later, in many turns, must not mix two moments: sums and records belong together. */
export function snapshotOf(
  content: Omit<CheckpointContent, "records"> & { readonly records: Iterable<CheckpointRecord> },
): CheckpointContent {
  const records: CheckpointRecord[] = [];
  // What else a record holds is replaced as a whole, and never changed.
  for (const record of content.records) records.push({ ...record, account: { ...record.account } });
  return { ...content, records, entries: new Map(content.entries), removed: { ...content.removed } };
}

/**
 * Text, for people with `less` and `jq`: a line of header with the CRC of the rest, a line with the entries, a line with the
 * sums over files long gone, and a line for each file. 64-bit numbers are strings. Gives the bytes in parts.
 */
export function* encodeInSteps(content: CheckpointContent): Generator<undefined, readonly Buffer[]> {
  const { losses, removed, records, entries, isClosed } = content;
  const sums = { losses, removed: shortAccount(removed) };
  const parts = [linesOf([JSON.stringify(Object.fromEntries(entries)), JSON.stringify(sums)])];
  for (let from = 0; from < records.length; from += LINES_PER_STEP) {
    parts.push(linesOf(records.slice(from, from + LINES_PER_STEP).map(encodeRecord)));
    yield;
  }
  const crc = parts.reduce((sum, part) => crc32(part, sum), 0);
  const header: Header = { format: FORMAT, version: CHECKPOINT_VERSION, crc32: crc, isClosed };
  return [linesOf([JSON.stringify(header)]), ...parts];
}

function linesOf(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join("\n")}\n`);
}

function encodeRecord(record: CheckpointRecord): string {
  const { dev, ino, birthtimeNs, ...rest } = record;
  const seen = Math.min(record.seen, toldTo(record));
  // A later life that sees the rest of it counts it then.
  const account = shortAccount({ ...record.account, seen: record.account.seen - (record.seen - seen) });
  return JSON.stringify({
    ...rest,
    seen,
    account,
    dev: `${dev}`,
    ino: `${ino}`,
    birthtimeNs: `${birthtimeNs}`,
  });
}

/** A later life can tell whether the bytes before it are still the same. */
function toldTo({ offset, fingerprint, furthest }: CheckpointRecord): number {
  return Math.max(offset, fingerprint.length, furthest?.to ?? 0);
}

/**
 * Reads what {@link encodeInSteps} wrote. Throws CodedError "ECHECKPOINT_VERSION" for a newer version, and
 * "ECHECKPOINT_DAMAGED" for anything that is not whole. `name` is for the message.
 */
export function decodeCheckpoints(bytes: Buffer, name: string): CheckpointContent {
  const newline = bytes.indexOf(10);
  const header = parseHeader(bytes.subarray(0, Math.max(newline, 0)), name);
  if (header.version > CHECKPOINT_VERSION) {
    throw new CodedError(
      "ECHECKPOINT_VERSION",
      `Cannot read checkpoints ${name}: format version ${header.version}, expected ${CHECKPOINT_VERSION} or less`,
    );
  }
  const body = bytes.subarray(newline + 1);
  const actual = crc32(body);
  if (actual !== header.crc32) throw damaged(name, `CRC ${actual}, expected ${header.crc32}`);
  const [entries = "{}", ...lines] = body.toString("utf8").trimEnd().split("\n");
  const sums = header.version === 1 ? {} : parseSums(lines.shift());
  return {
    entries: new Map(Object.entries(JSON.parse(entries) as Record<string, number>)),
    records: lines.map(parseRecord),
    removed: { ...newRemovedSums(), ...sums.removed },
    losses: sums.losses ?? 0,
    isClosed: header.isClosed ?? false,
  };
}

function parseHeader(line: Buffer, name: string): Header {
  try {
    const header = JSON.parse(line.toString("utf8")) as Header;
    if (header.format === FORMAT && Number.isInteger(header.version)) return header;
  } catch (error) {
    throw damaged(name, `its first line is no header (${errorMessage(error)})`);
  }
  throw damaged(name, `its first line is no header, expected format "${FORMAT}"`);
}

function parseSums(line = "{}"): {
  readonly losses?: number;
  readonly removed?: Partial<RemovedSums>;
} {
  return JSON.parse(line);
}

function parseRecord(line: string): CheckpointRecord {
  const raw = JSON.parse(line) as CheckpointRecord & Record<"dev" | "ino" | "birthtimeNs", string>;
  // Version 1 had none.
  const account = raw.account === undefined ? accountOfOld(raw) : fullAccount(raw.account);
  return {
    ...raw,
    account,
    dev: BigInt(raw.dev),
    ino: BigInt(raw.ino),
    birthtimeNs: BigInt(raw.birthtimeNs),
  };
}

function damaged(name: string, why: string): CodedError {
  return new CodedError("ECHECKPOINT_DAMAGED", `Cannot use checkpoints ${name}: ${why}`);
}
