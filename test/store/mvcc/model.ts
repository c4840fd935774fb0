import { KeyValue } from "../../../store/proto/gen/kv.ts";

/** One key's value at a revision, as a model holds it; keys and values are latin1 strings. */
export interface ModelKv {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type ModelEvent =
  | { readonly kind: "put"; readonly kv: ModelKv; readonly previous: ModelKv | undefined }
  | {
      readonly kind: "delete";
      readonly key: string;
      readonly revision: number;
      readonly previous: ModelKv | undefined;
    };

/** A naive store of versioned keys: the whole content at every revision, and every event. Revision 1 is empty. */
export class ModelStore {
  readonly #states: Map<string, ModelKv>[] = [new Map(), new Map()];
  readonly #events: ModelEvent[] = [];
  compactRevision = -1;

  get revision(): number {
    return this.#states.length - 1;
  }

  /** Runs the writes of one transaction; no write, no new revision. */
  write(body: (txn: ModelTxn) => void): void {
    const txn = new ModelTxn(new Map(this.#states.at(-1)), this.revision + 1);
    body(txn);
    if (txn.events.length === 0) return;
    this.#states.push(txn.state);
    this.#events.push(...txn.events);
  }

  /** In key order. */
  range(from: string, to: string | undefined, revision: number): ModelKv[] {
    return inRange(this.#states[revision] as Map<string, ModelKv>, from, to);
  }

  get(key: string, revision: number): ModelKv | undefined {
    return this.#states[revision]?.get(key);
  }

  /** Events from a revision on, in order. */
  eventsFrom(revision: number): ModelEvent[] {
    return this.#events.filter((event) => revisionOf(event) >= revision);
  }
}

export class ModelTxn {
  readonly state: Map<string, ModelKv>;
  readonly events: ModelEvent[] = [];
  readonly #before: ReadonlyMap<string, ModelKv>;
  readonly #revision: number;

  constructor(state: Map<string, ModelKv>, revision: number) {
    this.state = state;
    this.#before = new Map(state);
    this.#revision = revision;
  }

  put(key: string, value: string, lease: bigint): void {
    const known = this.state.get(key);
    const kv = {
      key,
      value,
      createRevision: known?.createRevision ?? this.#revision,
      modRevision: this.#revision,
      version: (known?.version ?? 0) + 1,
      lease,
    };
    this.state.set(key, kv);
    this.events.push({ kind: "put", kv, previous: this.#before.get(key) });
  }

  /** `to` undefined: no end. */
  deleteRange(from: string, to: string | undefined): ModelKv[] {
    const gone = inRange(this.state, from, to);
    for (const { key } of gone) {
      this.state.delete(key);
      this.events.push({
        kind: "delete",
        key,
        revision: this.#revision,
        previous: this.#before.get(key),
      });
    }
    return gone;
  }
}

export function revisionOf(event: ModelEvent): number {
  return event.kind === "put" ? event.kv.modRevision : event.revision;
}

export function keyOf(event: ModelEvent): string {
  return event.kind === "put" ? event.kv.key : event.key;
}

/** A marshalled KeyValue in the model's terms. */
export function fromRecord(record: Uint8Array): ModelKv {
  return fromKeyValue(KeyValue.decode(record));
}

export function fromKeyValue(kv: KeyValue): ModelKv {
  return {
    key: kv.key.toString("latin1"),
    value: kv.value.toString("latin1"),
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    version: kv.version,
    lease: kv.lease,
  };
}

function inRange(state: ReadonlyMap<string, ModelKv>, from: string, to: string | undefined): ModelKv[] {
  return [...state.values()]
    .filter(({ key }) => key >= from && (to === undefined || key < to))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}
