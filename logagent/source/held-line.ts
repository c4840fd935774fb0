import type { TailedFile } from "./tailed-file.ts";

/** What waits for its end is read again from its start when more has come: so many bytes a second of each file. */
export const HELD_LINE_BYTES_PER_SECOND = 8 * 1024 * 1024;

/** The end of a file, read and not shipped: its line, or what may belong to it, is not there yet. */
export interface HeldLine {
  readonly offset: number;
  readonly bytes: number;
  /** Monotonic milliseconds. */
  readonly readAtMs: number;
}

/** Of a file that was read to its end. */
export function heldLineOf({ offset, readTo }: TailedFile, nowMs: number): HeldLine {
  return { offset, bytes: readTo - offset, readAtMs: nowMs };
}

/** May the file be read from its offset on, or was too much of that read too shortly before? */
export function mayReadOn({ heldLine, offset }: TailedFile, nowMs: number): boolean {
  if (heldLine?.offset !== offset) return true;
  const restMs = Math.floor((heldLine.bytes * 1000) / HELD_LINE_BYTES_PER_SECOND);
  return nowMs - heldLine.readAtMs >= restMs;
}
