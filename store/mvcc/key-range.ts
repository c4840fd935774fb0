import { latin1FromBytes } from "../backend/latin1.ts";

/** Keys as latin1 strings: exactly `start` when `single`; otherwise from `start` to below `end` (undefined: no end). */
export interface KeyRange {
  readonly start: string;
  readonly end: string | undefined;
  readonly single: boolean;
}

export const EVERY_KEY: KeyRange = { start: "", end: undefined, single: false };

/** etcd's convention: empty range_end: one key; a single zero byte: everything from `key` on; otherwise exclusive end. */
export function keyRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const start = latin1FromBytes(key);
  if (rangeEnd.length === 0) return { start, end: undefined, single: true };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { start, end: undefined, single: false };
  return { start, end: latin1FromBytes(rangeEnd), single: false };
}
