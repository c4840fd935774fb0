import { crc32c } from "@node-rs/crc32";
import type { EntryId, HardState } from "../raft/types.ts";
import {
  corrupt,
  hex32,
  readSafeUint64,
  SECTOR_BYTES,
  WAL_VERSION,
  WalError,
  writeSafeUint64,
} from "./format.ts";

/** The first sector of a segment: whose log it is, and where it goes on from the segment before (docs/file-formats.md). */
export interface SegmentHeader {
  /** Position in the log's sequence of segments; the first is 0. */
  readonly sequence: number;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Number that the segment's first frame has. */
  readonly firstFrame: number;
  /** CRC32C of the last frame of the segment before; 0 in the first. */
  readonly chain: number;
  /** Seed of the frame headers' CRC: bytes of a value cannot pass for a frame of this segment. */
  readonly salt: number;
  /** Last entry of the log before this segment. */
  readonly previous: EntryId;
  /** The hard state as of the end of the segment before, so that removing that one does not lose it. */
  readonly hardState: HardState;
  /** Chosen at random when the log is made, so that a backend knows its log from any other; 0: made before there was one. */
  readonly logId: bigint;
}

const MAGIC = Buffer.from("logstwal", "latin1");
const CRC_AT = 92;
const LOG_ID_AT = 96;
const LOG_ID_CRC_AT = 104;

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SECTOR_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(WAL_VERSION, 8);
  bytes.writeUInt32LE(header.salt, 12);
  writeSafeUint64(bytes, header.sequence, 16);
  bytes.writeBigUInt64LE(header.clusterId, 24);
  bytes.writeBigUInt64LE(header.memberId, 32);
  writeSafeUint64(bytes, header.firstFrame, 40);
  writeSafeUint64(bytes, header.previous.index, 48);
  writeSafeUint64(bytes, header.previous.term, 56);
  writeSafeUint64(bytes, header.hardState.term, 64);
  bytes.writeBigUInt64LE(header.hardState.vote, 72);
  writeSafeUint64(bytes, header.hardState.commit, 80);
  bytes.writeUInt32LE(header.chain, 88);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CRC_AT)), CRC_AT);
  bytes.writeBigUInt64LE(header.logId, LOG_ID_AT);
  bytes.writeUInt32LE(crc32c(bytes.subarray(LOG_ID_AT, LOG_ID_CRC_AT)), LOG_ID_CRC_AT);
  return bytes;
}

/**
 * Throws WalError: "EWALVERSION" for a segment of a newer version, "EWALCORRUPT" for anything else that is not a whole
 * header. A header is never torn: it is synced before its file gets its name.
 */
export function decodeSegmentHeader(bytes: Buffer, path: string): SegmentHeader {
  if (bytes.length < SECTOR_BYTES) {
    throw corrupt(path, 0, `the file ends after ${bytes.length} bytes, expected a header of ${SECTOR_BYTES}`);
  }
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw corrupt(path, 0, `the magic is ${bytes.toString("hex", 0, 8)}, expected ${MAGIC.toString("hex")}`);
  }
  requireKnownVersion(bytes.readUInt32LE(8), path);
  requireCrc(bytes.subarray(0, CRC_AT), bytes.readUInt32LE(CRC_AT), path);
  return {
    salt: bytes.readUInt32LE(12),
    sequence: readSafeUint64(bytes, 16),
    clusterId: bytes.readBigUInt64LE(24),
    memberId: bytes.readBigUInt64LE(32),
    firstFrame: readSafeUint64(bytes, 40),
    previous: { index: readSafeUint64(bytes, 48), term: readSafeUint64(bytes, 56) },
    hardState: {
      term: readSafeUint64(bytes, 64),
      vote: bytes.readBigUInt64LE(72),
      commit: readSafeUint64(bytes, 80),
    },
    chain: bytes.readUInt32LE(88),
    logId: decodeLogId(bytes, path),
  };
}

/** A header of before there were log ids has zeros there. */
function decodeLogId(bytes: Buffer, path: string): bigint {
  const id = bytes.readBigUInt64LE(LOG_ID_AT);
  const crc = bytes.readUInt32LE(LOG_ID_CRC_AT);
  if (id !== 0n || crc !== 0) requireCrc(bytes.subarray(LOG_ID_AT, LOG_ID_CRC_AT), crc, path);
  return id;
}

function requireCrc(covered: Buffer, expected: number, path: string): void {
  const actual = crc32c(covered);
  if (actual === expected) return;
  throw corrupt(path, 0, `the header's CRC32C is ${hex32(actual)}, expected ${hex32(expected)}`);
}

function requireKnownVersion(version: number, path: string): void {
  if (version === WAL_VERSION) return;
  if (version > WAL_VERSION) {
    throw new WalError(
      "EWALVERSION",
      `Cannot read WAL segment ${path}: format version ${version}, expected ${WAL_VERSION} or less`,
    );
  }
  throw corrupt(path, 8, `the format version is ${version}, expected ${WAL_VERSION}`);
}
