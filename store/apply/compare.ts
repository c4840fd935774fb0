import { keyRange } from "../mvcc/key-range.ts";
import type { KeyFacts, MvccStore } from "../mvcc/mvcc-store.ts";
import { STOP } from "../mvcc/tree-index.ts";
import { type Compare, Compare_CompareResult, Compare_CompareTarget } from "../proto/gen/rpc.ts";

const TARGET = Compare_CompareTarget;
const RESULT = Compare_CompareResult;

/**
 * Whether a comparison holds at a revision, which is kept, for every key of its range (etcd txn.applyCompare); in steps. With
 * no key there, counters and lease compare as 0, and a comparison of the value fails.
 */
export function* holds(compare: Compare, store: MvccStore, revision: number): Generator<undefined, boolean> {
  let keys = 0;
  let all = true;
  yield* store.visitFacts(keyRange(compare.key, compare.rangeEnd), revision, (facts) => {
    keys += 1;
    all = resultHolds(compare, difference(compare, facts));
    return all ? undefined : STOP;
  });
  if (keys > 0) return all;
  if (compare.target === TARGET.VALUE) return false;
  return resultHolds(compare, difference(compare, ABSENT));
}

const ABSENT = { createRevision: 0, modRevision: 0, version: 0 };

/** Below, at or above zero as what is stored is below, at or above what is asked. */
function difference(compare: Compare, facts: Omit<KeyFacts, "record"> & Partial<KeyFacts>): number {
  const { targetUnion } = compare;
  switch (compare.target) {
    case TARGET.VERSION:
      return facts.version - (targetUnion?.$case === "version" ? targetUnion.value : 0);
    case TARGET.CREATE:
      return facts.createRevision - (targetUnion?.$case === "createRevision" ? targetUnion.value : 0);
    case TARGET.MOD:
      return facts.modRevision - (targetUnion?.$case === "modRevision" ? targetUnion.value : 0);
    case TARGET.VALUE: {
      const asked = targetUnion?.$case === "value" ? targetUnion.value : Buffer.alloc(0);
      return (facts.record?.().value ?? Buffer.alloc(0)).compare(asked);
    }
    case TARGET.LEASE: {
      const asked = targetUnion?.$case === "lease" ? targetUnion.value : 0n;
      const stored = facts.record?.().lease ?? 0n;
      return stored < asked ? -1 : stored > asked ? 1 : 0;
    }
    default:
      // A target nobody knows compares as equal, as in etcd.
      return 0;
  }
}

function resultHolds({ result }: Compare, difference: number): boolean {
  switch (result) {
    case RESULT.EQUAL:
      return difference === 0;
    case RESULT.NOT_EQUAL:
      return difference !== 0;
    case RESULT.GREATER:
      return difference > 0;
    case RESULT.LESS:
      return difference < 0;
    default:
      return true;
  }
}
