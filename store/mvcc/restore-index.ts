import { latin1FromBytes } from "../backend/latin1.ts";
import type { Backend, BackendPair } from "../backend/port.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { KeyIndex } from "./key-index.ts";
import { decodeRevisionKey, encodeMainRevision, keyBehind } from "./revision.ts";
import { TreeIndex } from "./tree-index.ts";

/** What the records of a backend tell when they are read once from the first to the last. */
export interface Restored {
  readonly index: TreeIndex;
  /** Main revision of the last record; 1 when there is none. */
  readonly revision: number;
  /** The lease of each key that has one. */
  readonly leases: ReadonlyMap<string, bigint>;
}

/** Records, and their bytes, that are read between two yields: about a millisecond. */
const RECORDS_A_STEP = 250;
const BYTES_A_STEP = 1024 * 1024;

/** Rebuilds the index (etcd mvcc, restore), in steps; the backend is not written to meanwhile. */
export function* restoreIndex(backend: Backend): Generator<undefined, Restored> {
  const restored = { index: new TreeIndex(), revision: 1, leases: new Map<string, bigint>() };
  let cursor: Buffer | undefined = encodeMainRevision(1);
  for (;;) {
    cursor = readStep(backend, cursor, restored);
    if (cursor === undefined) return restored;
    yield;
  }
}

/** Takes in some records from `cursor` on; returns where to go on, undefined at the end. */
function readStep(
  backend: Backend,
  cursor: Buffer,
  restored: { readonly index: TreeIndex; revision: number; readonly leases: Map<string, bigint> },
): Buffer | undefined {
  let records = 0;
  let bytes = 0;
  for (const pair of backend.range("key", cursor, undefined, 0)) {
    restored.revision = takeRecord(pair, restored);
    records += 1;
    bytes += pair.value.byteLength;
    if (records >= RECORDS_A_STEP || bytes >= BYTES_A_STEP) return keyBehind(pair.key);
  }
  return undefined;
}

/** Returns the record's main revision. */
function takeRecord(
  pair: BackendPair,
  { index, leases }: { readonly index: TreeIndex; readonly leases: Map<string, bigint> },
): number {
  const { main, sub, tombstone } = decodeRevisionKey(pair.key);
  const { key, createRevision, version, lease } = KeyValue.decode(pair.value);
  const text = latin1FromBytes(key);
  const known = index.get(text);
  if (tombstone) {
    if (known === undefined) index.add(KeyIndex.restoredTombstone(text, { main, sub }));
    else known.tombstone(main, sub);
  } else if (known === undefined) {
    index.add(KeyIndex.restored(text, { main, sub, createRevision, version }));
  } else {
    known.put(main, sub);
  }
  if (lease === 0n) leases.delete(text);
  else leases.set(text, lease);
  return main;
}
