import { asBuffer } from "../../base/as-buffer.ts";
import { invariant } from "../../base/invariant.ts";
import { readUint64, writeUint64 } from "../backend/uint64.ts";

/** Order of a change: `main` counts transactions, `sub` the changes inside one, from 0 (etcd mvcc, Revision). */
export interface Revision {
  readonly main: number;
  readonly sub: number;
}

const KEY_BYTES = 17;
const SEPARATOR = 0x5f; // "_"
const TOMBSTONE_MARK = 0x74; // "t"

/** The backend key of a change: main (8 bytes, big-endian), "_", sub (the same), and "t" behind a deletion's. */
export function encodeRevisionKey(main: number, sub: number, tombstone: boolean): Buffer {
  const key = Buffer.allocUnsafe(tombstone ? KEY_BYTES + 1 : KEY_BYTES);
  writeUint64(key, 0, main);
  key[8] = SEPARATOR;
  writeUint64(key, 9, sub);
  if (tombstone) key[KEY_BYTES] = TOMBSTONE_MARK;
  return key;
}

/** The first 8 bytes of a revision key: where the changes of `main` begin. */
export function encodeMainRevision(main: number): Buffer {
  const prefix = Buffer.allocUnsafe(8);
  writeUint64(prefix, 0, main);
  return prefix;
}

export function decodeRevisionKey(bytes: Uint8Array): Revision & { readonly tombstone: boolean } {
  const key = asBuffer(bytes);
  const isRevision = (key.length === KEY_BYTES || key.length === KEY_BYTES + 1) && key[8] === SEPARATOR;
  if (!isRevision) invariant(false, `backend key ${key.toString("hex")} is a revision`);
  return {
    main: readUint64(key, 0),
    sub: readUint64(key, 9),
    tombstone: key[KEY_BYTES] === TOMBSTONE_MARK,
  };
}

/** The backend key from which on the changes behind a change are. */
export function keyBehind(key: Uint8Array): Buffer {
  const { main, sub } = decodeRevisionKey(key);
  return encodeRevisionKey(main, sub + 1, false);
}
