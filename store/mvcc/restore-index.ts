import { latin1FromBytes } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { KeyIndex } from "./key-index.ts";
import { decodeRevisionKey, encodeMainRevision } from "./revision.ts";
import { TreeIndex } from "./tree-index.ts";

/** What the records of a backend tell when they are read once from the first to the last. */
export interface Restored {
  readonly index: TreeIndex;
  /** Main revision of the last record; 1 when there is none. */
  readonly revision: number;
  /** The lease of each key that has one. */
  readonly leases: ReadonlyMap<string, bigint>;
}

/** Rebuilds the index (etcd mvcc, restore). */
export function restoreIndex(backend: Backend): Restored {
  const index = new TreeIndex();
  const leases = new Map<string, bigint>();
  let revision = 1;
  for (const pair of backend.range("key", encodeMainRevision(1), undefined, 0)) {
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
    revision = main;
  }
  return { index, revision, leases };
}
