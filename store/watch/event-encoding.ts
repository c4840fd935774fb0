import { bytesFromLatin1 } from "../backend/latin1.ts";
import type { Change } from "../mvcc/types.ts";
import { EMPTY_BYTES } from "../proto/binary-reader.ts";
import { BinaryWriter } from "../proto/binary-writer.ts";
import { KeyValue } from "../proto/gen/kv.ts";
import type { EventBatch, History, WatchSpec } from "./types.ts";

const TYPE_TAG = 0x08;
const TYPE_DELETE = 1;
const KV_TAG = 0x12;
const PREV_KV_TAG = 0x1a;

/** Events encoded between two yields: a few milliseconds. */
const EVENTS_A_STEP = 500;

/** What a watcher wants of each change; watchers that want the same share the encoded events. */
export type Wanted = Pick<WatchSpec, "prevKv" | "noPut" | "noDelete">;

/** One change, marshalled as `mvccpb.Event` when somebody first wants it, and once. */
export class EncodedChange {
  readonly change: Change;
  readonly #history: History;
  #plain: Buffer | undefined;
  #withPrevious: Buffer | undefined;

  constructor(change: Change, history: History) {
    this.change = change;
    this.#history = history;
  }

  event(prevKv: boolean): Buffer {
    if (!prevKv || this.change.kind === "create") {
      this.#plain ??= this.#encode(undefined);
      return this.#plain;
    }
    this.#withPrevious ??= this.#encode(this.#history.recordAt(this.change.key, this.change.revision - 1));
    return this.#withPrevious;
  }

  #encode(previous: Uint8Array | undefined): Buffer {
    const { kind, key, revision, record } = this.change;
    // Before the writer takes the scratch that the other one needs.
    const keyValue = kind === "delete" ? deletedKeyValue(key, revision) : record;
    const writer = new BinaryWriter();
    if (kind === "delete") writer.uint32(TYPE_TAG).int32(TYPE_DELETE);
    writer.uint32(KV_TAG).bytes(keyValue);
    if (previous !== undefined) writer.uint32(PREV_KV_TAG).bytes(previous);
    return writer.finish();
  }
}

/** The changes of one revision that one target matches, as a batch for each kind of wish. */
export class TargetEvents {
  readonly #changes: EncodedChange[] = [];
  readonly #batches = new Map<number, EventBatch | undefined>();

  add(change: EncodedChange): void {
    this.#changes.push(change);
  }

  /** Undefined when the watcher's filters leave nothing; in steps. */
  *batch(revision: number, wanted: Wanted): Generator<undefined, EventBatch | undefined> {
    const wish = (wanted.prevKv ? 1 : 0) | (wanted.noPut ? 2 : 0) | (wanted.noDelete ? 4 : 0);
    if (!this.#batches.has(wish)) this.#batches.set(wish, yield* this.#makeBatch(revision, wanted));
    return this.#batches.get(wish);
  }

  *#makeBatch(
    revision: number,
    { prevKv, noPut, noDelete }: Wanted,
  ): Generator<undefined, EventBatch | undefined> {
    const events: Buffer[] = [];
    for (const [i, change] of this.#changes.entries()) {
      if (i > 0 && i % EVENTS_A_STEP === 0) yield;
      const isWanted = !(change.change.kind === "delete" ? noDelete : noPut);
      if (isWanted) events.push(change.event(prevKv));
    }
    return events.length === 0 ? undefined : { revision, events };
  }
}

/** As etcd tells a deletion: the key, and the revision at which it went. */
function deletedKeyValue(key: string, revision: number): Buffer {
  return KeyValue.encode({
    key: bytesFromLatin1(key),
    createRevision: 0,
    modRevision: revision,
    version: 0,
    value: EMPTY_BYTES,
    lease: 0n,
  }).finish();
}
