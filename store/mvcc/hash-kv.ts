import { crc32c } from "@node-rs/crc32";
import { latin1FromBytes } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { EVERY_KEY, type KeyRange } from "./key-range.ts";
import { readPage } from "./record-page.ts";
import { decodeRevisionKey, encodeMainRevision } from "./revision.ts";
import { STOP, type TreeIndex } from "./tree-index.ts";

const KEYS_A_STEP = 5000;

/**
 * CRC-32C over the records up to `revision`, as etcd makes it (mvcc/hash.go): what a compaction at `compactRevision` has
 * dropped or will drop does not count, so that members agree whether their compaction has finished or not. Of what it
 * keeps, only what is still in force at `revision` counts; unless nothing is, then all of it.
 */
export function* hashRecords(
  revisions: { readonly revision: number; readonly compactRevision: number },
  from: { readonly index: TreeIndex; readonly backend: Backend },
): Generator<undefined, number> {
  const { revision, compactRevision } = revisions;
  const keptAt = (yield* isAnythingInForce(from.index, revision)) ? revision : compactRevision;
  let hash = crc32c("key");
  const end = encodeMainRevision(revision + 1);
  let cursor = encodeMainRevision(0);
  for (;;) {
    const { pairs, rest } = readPage(from.backend, cursor, end);
    for (const { key, value } of pairs) {
      const at = decodeRevisionKey(key);
      if (at.main <= compactRevision) {
        const kept = from.index.get(latin1FromBytes(KeyValue.decode(value).key))?.retainedAt(keptAt);
        if (kept?.main !== at.main || kept.sub !== at.sub) continue;
      }
      if (at.main === compactRevision && at.tombstone) continue;
      hash = crc32c(value, crc32c(key, hash));
    }
    if (rest === undefined) return hash;
    cursor = rest;
    yield;
  }
}

function* isAnythingInForce(index: TreeIndex, revision: number): Generator<undefined, boolean> {
  let found = false;
  let rest: KeyRange | undefined = EVERY_KEY;
  for (;;) {
    rest = index.visit(rest, KEYS_A_STEP, (keyIndex) => {
      found = keyIndex.retainedAt(revision)?.tombstone === false;
      return found ? STOP : undefined;
    });
    if (rest === undefined) return found;
    yield;
  }
}
