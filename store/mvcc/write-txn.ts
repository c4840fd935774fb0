import { invariant } from "../../base/invariant.ts";
import { bytesFromLatin1, latin1FromBytes } from "../backend/latin1.ts";
import type { Backend } from "../backend/port.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import { KeyIndex } from "./key-index.ts";
import type { KeyRange } from "./key-range.ts";
import { encodeRevisionKey } from "./revision.ts";
import type { TreeIndex } from "./tree-index.ts";
import type { Change, LeaseBindings } from "./types.ts";

/** Keys visited, and deleted, between two yields: a few milliseconds each. */
const KEYS_A_STEP = 5000;
const DELETIONS_A_STEP = 500;

const NO_LEASE = 0n;

/**
 * Changes that share one main revision, the one after `beginRevision`; each has its own sub revision. They are in the
 * index and the backend at once, and part of the store's revision when the transaction ends. There is one at a time, and
 * it cannot be taken back: check first, then write.
 */
export class WriteTxn {
  readonly beginRevision: number;
  readonly #changes: Change[] = [];
  readonly #index: TreeIndex;
  readonly #backend: Backend;
  readonly #leases: LeaseBindings;

  constructor(
    beginRevision: number,
    parts: { readonly index: TreeIndex; readonly backend: Backend; readonly leases: LeaseBindings },
  ) {
    this.beginRevision = beginRevision;
    this.#index = parts.index;
    this.#backend = parts.backend;
    this.#leases = parts.leases;
  }

  /** What a read inside the transaction sees: its own changes included, once there are any. */
  get revision(): number {
    return this.#changes.length > 0 ? this.beginRevision + 1 : this.beginRevision;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** `lease` exists, or is 0n for none. `key` and `value` are copied. */
  put(key: Buffer, value: Buffer, lease: bigint): void {
    const revision = this.beginRevision + 1;
    const sub = this.#changes.length;
    const keyText = latin1FromBytes(key);
    const known = this.#index.get(keyText);
    const before = known?.at(revision);
    const record = KeyValue.encode({
      key,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      value,
      lease,
    }).finish();
    this.#backend.put("key", encodeRevisionKey(revision, sub, false), record);
    this.#indexOf(keyText, known).put(revision, sub);
    const kind = before === undefined ? "create" : "update";
    this.#changes.push({ key: keyText, revision, kind, record });
    this.#bindLease(keyText, lease);
  }

  /** Deletes the keys of a range, in order and in steps; gives how many there were. */
  *deleteRange(range: KeyRange): Generator<undefined, number> {
    const { revision } = this;
    const found: KeyIndex[] = [];
    for (let rest: KeyRange | undefined = range; rest !== undefined; ) {
      if (rest !== range) yield;
      rest = this.#index.visit(rest, KEYS_A_STEP, (index) => {
        if (index.at(revision) !== undefined) found.push(index);
        return undefined;
      });
    }
    yield* this.#deleteAll(found);
    return found.length;
  }

  /** Deletes keys (latin1) that exist, in the order given and in steps. */
  *deleteKeys(keys: readonly string[]): Generator<undefined, void> {
    yield* this.#deleteAll(keys.map((key) => this.#index.get(key)));
  }

  *#deleteAll(found: readonly (KeyIndex | undefined)[]): Generator<undefined, void> {
    for (const [i, index] of found.entries()) {
      if (i > 0 && i % DELETIONS_A_STEP === 0) yield;
      if (index === undefined) invariant(false, "a key that is deleted existed");
      this.#delete(index);
    }
  }

  #delete(index: KeyIndex): void {
    const revision = this.beginRevision + 1;
    const sub = this.#changes.length;
    const { key } = index;
    const record = KeyValue.encode({
      key: bytesFromLatin1(key),
      createRevision: 0,
      modRevision: 0,
      version: 0,
      value: EMPTY_BYTES,
      lease: NO_LEASE,
    }).finish();
    this.#backend.put("key", encodeRevisionKey(revision, sub, true), record);
    const existed = index.tombstone(revision, sub);
    invariant(existed, "a key that is deleted existed");
    this.#changes.push({ key, revision, kind: "delete", record });
    this.#bindLease(key, NO_LEASE);
  }

  #indexOf(key: string, known: KeyIndex | undefined): KeyIndex {
    if (known !== undefined) return known;
    const fresh = new KeyIndex(key);
    this.#index.add(fresh);
    return fresh;
  }

  #bindLease(key: string, lease: bigint): void {
    const bound = this.#leases.leaseOf(key);
    if (bound === lease) return;
    if (bound !== NO_LEASE) this.#leases.detach(bound, key);
    if (lease !== NO_LEASE) this.#leases.attach(lease, key);
  }
}
