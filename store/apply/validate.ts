import { latin1FromBytes } from "../backend/latin1.ts";
import { keyRange } from "../mvcc/key-range.ts";
import { StoreError } from "../proto/errors.ts";
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../proto/gen/rpc.ts";
import { type Interval, RangeTree } from "../watch/range-tree.ts";

const SORT_ORDER_MAX = 2;
const SORT_TARGET_MAX = 4;

/** What a request must be before it is proposed or read, as etcd's v3rpc/key.go checks it. Throws StoreError. */
export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw new StoreError("EmptyKey");
  const order: number = request.sortOrder;
  const target: number = request.sortTarget;
  if (order < 0 || order > SORT_ORDER_MAX || target < 0 || target > SORT_TARGET_MAX) {
    throw new StoreError("InvalidSortOption");
  }
}

/** Throws StoreError EmptyKey, ValueProvided, LeaseProvided. */
export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) throw new StoreError("EmptyKey");
  if (request.ignoreValue && request.value.length > 0) throw new StoreError("ValueProvided");
  if (request.ignoreLease && request.lease !== 0n) throw new StoreError("LeaseProvided");
}

/** Throws StoreError EmptyKey. */
export function checkDeleteRange(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw new StoreError("EmptyKey");
}

/**
 * Throws StoreError: TooManyOps when one of the three lists has more than `opsMax` entries (what a nested transaction may
 * have is what its parent left), DuplicateKey when two puts, or a put and a delete, could meet on one key; and what
 * the other checks throw for its operations. An operation of no known kind is KeyNotFound, as in etcd.
 */
export function checkTxn(request: TxnRequest, opsMax: number): void {
  checkOps(request, opsMax);
  collectWrites(request.success);
  collectWrites(request.failure);
}

/** True for a transaction without a write in any branch, nested ones included: served as a read, never proposed. */
export function isReadOnly(request: TxnRequest): boolean {
  return request.success.every(isReadOnlyOp) && request.failure.every(isReadOnlyOp);
}

function isReadOnlyOp({ request }: RequestOp): boolean {
  return request?.$case === "requestRange" || (request?.$case === "requestTxn" && isReadOnly(request.value));
}

function checkOps(request: TxnRequest, opsMax: number): void {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) throw new StoreError("TooManyOps");
  for (const { key } of request.compare) if (key.length === 0) throw new StoreError("EmptyKey");
  for (const op of [...request.success, ...request.failure]) checkOp(op, opsMax - ops);
}

function checkOp({ request }: RequestOp, opsMax: number): void {
  switch (request?.$case) {
    case "requestRange":
      checkRange(request.value);
      break;
    case "requestPut":
      checkPut(request.value);
      break;
    case "requestDeleteRange":
      checkDeleteRange(request.value);
      break;
    case "requestTxn":
      checkOps(request.value, opsMax);
      break;
    case undefined:
      throw new StoreError("KeyNotFound");
    default:
      request satisfies never;
  }
}

/** Keys that a list of operations may put, and ranges that it may delete; nested transactions included. */
interface Writes {
  readonly puts: Set<string>;
  readonly deletes: DeletedRanges;
}

/**
 * The writes of a list of operations; throws DuplicateKey where they meet. Deletes may overlap one another. A nested
 * transaction's two branches exclude each other and may put the same key. As in etcd, a delete is held against puts of
 * its own level and below and of later operations, not against an earlier sibling's.
 */
function collectWrites(ops: readonly RequestOp[]): Writes {
  const deletes = new DeletedRanges();
  const puts = new Set<string>();
  for (const { request } of ops) {
    if (request?.$case === "requestDeleteRange") deletes.add(request.value.key, request.value.rangeEnd);
  }
  for (const { request } of ops) {
    if (request?.$case !== "requestTxn") continue;
    const then = collectWrites(request.value.success);
    const otherwise = collectWrites(request.value.failure);
    for (const key of then.puts) addPut(key, puts, deletes);
    for (const key of otherwise.puts) {
      if (then.puts.has(key)) puts.delete(key);
      addPut(key, puts, deletes);
    }
    deletes.addAll(then.deletes);
    deletes.addAll(otherwise.deletes);
  }
  for (const { request } of ops) {
    if (request?.$case === "requestPut") addPut(latin1FromBytes(request.value.key), puts, deletes);
  }
  return { puts, deletes };
}

function addPut(key: string, puts: Set<string>, deletes: DeletedRanges): void {
  if (puts.has(key) || deletes.holds(key)) throw new StoreError("DuplicateKey");
  puts.add(key);
}

class DeletedRanges {
  readonly #ranges = new RangeTree<Interval>();
  readonly #added: Interval[] = [];

  add(key: Uint8Array, rangeEnd: Uint8Array): void {
    const { start, end, single } = keyRange(key, rangeEnd);
    // etcd reads "\0", "to the last key", as an end below the start here: such a delete meets no put.
    if (!single && end === undefined) return;
    // A single key is the range up to the next possible key.
    this.#add({ start, end: single ? `${start}\0` : end });
  }

  addAll(other: DeletedRanges): void {
    for (const interval of other.#added) this.#add(interval);
  }

  holds(key: string): boolean {
    return this.#ranges.holds(key);
  }

  #add(interval: Interval): void {
    if (this.#ranges.get(interval) !== undefined) return;
    this.#ranges.add(interval, interval);
    this.#added.push(interval);
  }
}
