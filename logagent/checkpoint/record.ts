import type { LinePosition } from "../framing/types.ts";
import type { FileAccount } from "./account.ts";

/** A hash over `length` bytes: the first 64 bits of SHA-256, in hex. Length 0 matches everything. */
export interface BytesHash {
  readonly length: number;
  readonly hash: string;
}

export const NO_BYTES: BytesHash = { length: 0, hash: "" };

/** What tells a file from every other one, as the kernel says it. */
export interface FileIdentity {
  /** A tie-break only: it may change at a reboot. */
  readonly dev: bigint;
  readonly ino: bigint;
  /** Birth time in nanoseconds since the Unix epoch; 0n where the filesystem has none. */
  readonly birthtimeNs: bigint;
}

/** The name of an identity over time and over reboots; by `dev` and `ino` alone only files that exist together are told apart. */
export function lastingKeyOf({ ino, birthtimeNs }: Pick<FileIdentity, "ino" | "birthtimeNs">): string {
  return `${ino}:${birthtimeNs}`;
}

/** How far one file is shipped. Its content after a truncation counts as another file, with another id. */
export interface CheckpointRecord extends FileIdentity {
  /** As it was when the file was held last. */
  dev: bigint;
  /** Unique in the fleet, ASCII, minted once: the part of header `pos` before the colon. */
  readonly id: string;
  /** Where it was found first: header `path`, and the choice of the partition. It stays when the file is renamed. */
  readonly path: string;
  /** Where it was found last, its links resolved, if that is another folder than the one of `path`. */
  folder?: string;
  /** `path` and `topic` of the entry that shipped it last. */
  entry: string;
  topic: string;
  /** Of the head of the file; grows with it up to a limit. */
  fingerprint: BytesHash;
  /** Everything before it is acknowledged. */
  offset: number;
  /** Of the bytes right before `offset`. */
  tail: BytesHash;
  /** What stands at `offset`, where that is no start of a line. */
  position?: LinePosition;
  /** The largest size at which the file was seen: what lies between `offset` and here is lost if the file is gone. */
  seen: number;
  /** A larger size at which it was seen while nothing could be read of it: what was there may have been another content. */
  doubted?: number;
  /**
   * The furthest that was sent, or seen in a file that had to wait, and the hash of the bytes before it: what is behind
   * `offset` must not have been replaced either, for it was sent under this id.
   */
  furthest?: { readonly to: number; readonly tail: BytesHash };
  /** When the file was last held or matched, milliseconds since the Unix epoch. */
  seenAtMs: number;
  /** When it was at its path last, if it is not there any more: others may have been there since then. */
  leftAtMs?: number;
  /** What became of its bytes. */
  readonly account: FileAccount;
  /** It was rotated, shipped to its end and quiet for long when it was let go: if it goes, nothing is lost. */
  isResting?: boolean;
  /** An agent that held it has died, and none has held it since: more may have been sent of its file than this says. */
  isUnsure?: boolean;
  /** The file is compressed, and nobody saw it before it was: offsets and sizes are of what is in it. */
  readonly isPacked?: boolean;
}
