import { bytesFromLatin1 } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { type RangeRequest, RangeRequest_SortOrder, RangeRequest_SortTarget } from "../proto/gen/rpc.ts";
import type { KeyState } from "./key-index.ts";
import { type KeyRange, keyRange } from "./key-range.ts";
import { readRecord } from "./read-record.ts";
import type { TreeIndex } from "./tree-index.ts";

/** Keys visited, records read, and their bytes, between two yields: a few milliseconds each. */
const KEYS_A_STEP = 5000;
const RECORDS_A_STEP = 500;
const BYTES_A_STEP = 1024 * 1024;

const SORT_TARGET = RangeRequest_SortTarget;
const SORT_ORDER = RangeRequest_SortOrder;

/** What a read gives. */
export interface RangeAnswer {
  /** Marshalled `mvccpb.KeyValue` each, shared with the backend, never written to. */
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

interface Hit extends KeyState {
  readonly key: string;
}

/**
 * A range at `revision`, which is kept (etcd txn.executeRange and mvcc rangeKeys). Filters and sorting, except by value,
 * need the index alone; records are read for the keys that are answered, and with keys_only for none.
 */
export function* readRange(
  request: RangeRequest,
  revision: number,
  from: { readonly index: TreeIndex; readonly backend: Backend },
): Generator<undefined, RangeAnswer> {
  const range = keyRange(request.key, request.rangeEnd);
  const hitsMax = request.countOnly ? 0 : fetchLimit(request);
  const { hits, count } = yield* collect(from.index, range, revision, hitsMax);
  const matching = hasRevisionFilters(request) ? hits.filter((hit) => passesFilters(request, hit)) : hits;
  if (request.sortTarget === SORT_TARGET.VALUE) {
    return yield* answerByValue(request, matching, count, from.backend);
  }
  const sorted = sortHits(request, matching);
  const { answered, more } = cutToLimit(request, sorted);
  if (request.keysOnly) return { kvs: answered.map(keyOnly), more, count };
  return { kvs: yield* readRecords(from.backend, answered), more, count };
}

/** The state of a range's keys at a revision, in key order, and at most `hitsMax` of them; the count is of them all. */
function* collect(
  index: TreeIndex,
  range: KeyRange,
  revision: number,
  hitsMax: number,
): Generator<undefined, { readonly hits: Hit[]; readonly count: number }> {
  const hits: Hit[] = [];
  let count = 0;
  let rest: KeyRange | undefined = range;
  for (;;) {
    rest = index.visit(rest, KEYS_A_STEP, (keyIndex) => {
      const state = keyIndex.at(revision);
      if (state === undefined) return undefined;
      count += 1;
      if (hits.length < hitsMax) hits.push({ key: keyIndex.key, ...state });
      return undefined;
    });
    if (rest === undefined) return { hits, count };
    yield;
  }
}

function* readRecords(backend: Backend, hits: readonly Hit[]): Generator<undefined, Uint8Array[]> {
  const records: Uint8Array[] = [];
  let bytes = 0;
  for (const hit of hits) {
    const record = readRecord(backend, hit);
    records.push(record);
    bytes += record.byteLength;
    if (records.length === hits.length) break;
    if (records.length % RECORDS_A_STEP !== 0 && bytes < BYTES_A_STEP) continue;
    bytes = 0;
    yield;
  }
  return records;
}

/** Sorted by value: every record of the range has to be read. */
function* answerByValue(
  request: RangeRequest,
  hits: readonly Hit[],
  count: number,
  backend: Backend,
): Generator<undefined, RangeAnswer> {
  const records = yield* readRecords(backend, hits);
  const direction = request.sortOrder === SORT_ORDER.DESCEND ? -1 : 1;
  const sorted = records
    .map((record) => ({ record, value: KeyValue.decode(record).value }))
    .sort((a, b) => direction * a.value.compare(b.value))
    .map(({ record }) => record);
  const { answered, more } = cutToLimit(request, sorted);
  return { kvs: request.keysOnly ? answered.map(withoutValue) : answered, more, count };
}

/** How many keys, in key order, can matter: one more than the limit when no filter or sorting comes after. */
function fetchLimit(request: RangeRequest): number {
  const isPlain = isDefaultOrder(request) && !hasRevisionFilters(request);
  return request.limit > 0 && isPlain ? request.limit + 1 : Number.POSITIVE_INFINITY;
}

/**
 * The order in which the index yields keys already. Order NONE counts as such whatever the target, though the keys are
 * then sorted by it: with a limit, etcd sorts only the first keys.
 */
export function isDefaultOrder({ sortOrder, sortTarget }: RangeRequest): boolean {
  return sortOrder === SORT_ORDER.NONE || (sortTarget === SORT_TARGET.KEY && sortOrder === SORT_ORDER.ASCEND);
}

export function hasRevisionFilters(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

function passesFilters(request: RangeRequest, { main, createRevision }: Hit): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return (
    (maxModRevision === 0 || main <= maxModRevision) &&
    (minModRevision === 0 || main >= minModRevision) &&
    (maxCreateRevision === 0 || createRevision <= maxCreateRevision) &&
    (minCreateRevision === 0 || createRevision >= minCreateRevision)
  );
}

function sortHits(request: RangeRequest, hits: Hit[]): readonly Hit[] {
  const { sortOrder, sortTarget } = request;
  if (sortTarget === SORT_TARGET.KEY) return sortOrder === SORT_ORDER.DESCEND ? hits.reverse() : hits;
  const number = sortNumber(sortTarget);
  const direction = sortOrder === SORT_ORDER.DESCEND ? -1 : 1;
  return hits.sort((a, b) => direction * (number(a) - number(b)));
}

function sortNumber(target: RangeRequest["sortTarget"]): (hit: Hit) => number {
  switch (target) {
    case SORT_TARGET.VERSION:
      return (hit) => hit.version;
    case SORT_TARGET.CREATE:
      return (hit) => hit.createRevision;
    default:
      return (hit) => hit.main;
  }
}

function cutToLimit<T>(request: RangeRequest, all: readonly T[]): { answered: readonly T[]; more: boolean } {
  const more = request.limit > 0 && all.length > request.limit;
  return { answered: more ? all.slice(0, request.limit) : all, more };
}

/** As etcd 3.7 answers keys_only: from the index, and so without the lease. */
function keyOnly({ key, main, createRevision, version }: Hit): Uint8Array {
  return KeyValue.encode({
    key: bytesFromLatin1(key),
    createRevision,
    modRevision: main,
    version,
    value: EMPTY_BYTES,
    lease: 0n,
  }).finish();
}

function withoutValue(record: Uint8Array): Uint8Array {
  return KeyValue.encode({ ...KeyValue.decode(record), value: EMPTY_BYTES }).finish();
}
