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
  /** Nothing was sent since they were written: the agent ended in peace. */
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

/**
 * Text, for people with `less` and `jq`: a line of header with the CRC of the rest, a line with the entries, a line with the
 * sums over files long gone, and a line for each file. 64-bit numbers are strings.
 */
export function encodeCheckpoints(content: CheckpointContent): Buffer {
  const { losses, removed } = content;
  const lines = [
    JSON.stringify(Object.fromEntries(content.entries)),
    JSON.stringify({ losses, removed: shortAccount(removed) }),
  ];
  for (const record of content.records) {
    const { dev, ino, birthtimeNs, ...rest } = record;
    const seen = Math.min(record.seen, toldTo(record));
    // A later life that sees the rest of it counts it then.
    const account = shortAccount({ ...record.account, seen: record.account.seen - (record.seen - seen) });
    lines.push(
      JSON.stringify({ ...rest, seen, account, dev: `${dev}`, ino: `${ino}`, birthtimeNs: `${birthtimeNs}` }),
    );
  }
  const body = Buffer.from(`${lines.join("\n")}\n`);
  const header: Header = {
    format: FORMAT,
    version: CHECKPOINT_VERSION,
    crc32: crc32(body),
    isClosed: content.isClosed,
  };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/** A later life can tell whether the bytes before it are still the same. */
function toldTo({ offset, fingerprint, furthest }: CheckpointRecord): number {
  return Math.max(offset, fingerprint.length, furthest?.to ?? 0);
}

/**
 * Reads what {@link encodeCheckpoints} wrote. Throws CodedError "ECHECKPOINT_VERSION" for a newer version, and
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
