import { runAtOnce } from "../../../base/steps.ts";
import { MemBackend } from "../../../store/backend/mem-backend.ts";
import { MvccStore } from "../../../store/mvcc/mvcc-store.ts";
import { Event, Event_EventType, type KeyValue } from "../../../store/proto/gen/kv.ts";
import { MvccWatchHub } from "../../../store/watch/mvcc-watch-hub.ts";
import type { Watcher, WatchOutlet, WatchOutput, WatchSpec } from "../../../store/watch/types.ts";

/** A put of a key and a value, or the deletion of a key or of a range. Texts are latin1. */
export type Write =
  | { readonly put: string; readonly value: string }
  | { readonly delete: string; readonly end?: string };

/** The hub over a real store in memory. */
export class WatchBed {
  readonly store = new MvccStore(new MemBackend(), {
    leaseOf: () => 0n,
    attach: () => undefined,
    detach: () => undefined,
  });
  readonly hub = new MvccWatchHub(this.store);

  /** One write transaction; returns the store's revision after it. */
  write(...writes: readonly Write[]): number {
    const txn = this.store.beginWrite();
    for (const write of writes) {
      if ("put" in write) txn.put(latin1(write.put), latin1(write.value), 0n);
      else
        runAtOnce(txn.deleteRange({ start: write.delete, end: write.end, single: write.end === undefined }));
    }
    runAtOnce(this.hub.notify(this.store.endWrite(txn)));
    return this.store.revision;
  }

  put(key: string, value: string): number {
    return this.write({ put: key, value });
  }

  compact(revision: number): void {
    this.store.compact(revision);
    while (this.store.compactStep());
  }

  catchUp(): void {
    while (this.hub.catchUpStep());
  }

  watch(spec: SpecText): Received {
    const received = new Received();
    received.watcher = this.hub.watch(specOf(spec), received);
    return received;
  }
}

export interface SpecText extends Partial<Omit<WatchSpec, "key" | "rangeEnd">> {
  readonly key: string;
  readonly end?: string;
}

export function specOf({ key, end = "", ...rest }: SpecText): WatchSpec {
  const none = { startRevision: 0, prevKv: false, noPut: false, noDelete: false };
  return { ...none, ...rest, key: latin1(key), rangeEnd: latin1(end) };
}

/** An outlet that keeps what it is given, while it has room. */
export class Received implements WatchOutlet {
  /** Outputs that it still takes. */
  room = Number.POSITIVE_INFINITY;
  refusals = 0;
  readonly outputs: WatchOutput[] = [];
  watcher: Watcher | undefined;
  /** Sees each output that is taken. */
  onOutput: (output: WatchOutput) => void = () => undefined;

  offer(output: WatchOutput): boolean {
    if (this.room === 0) {
      this.refusals += 1;
      return false;
    }
    this.room -= 1;
    this.outputs.push(output);
    this.onOutput(output);
    return true;
  }

  get synced(): boolean {
    return this.watcher?.synced === true;
  }

  get texts(): readonly string[] {
    return this.outputs.flatMap(outputTexts);
  }
}

/** "5 put a=1 (created 3, version 2) was 0", "7 delete a", "progress 9", "compacted 4". */
export function outputTexts(output: WatchOutput): readonly string[] {
  switch (output.kind) {
    case "events":
      return output.batches.flatMap(({ revision, events }) =>
        events.map((event) => eventText(revision, Event.decode(event))),
      );
    case "progress":
      return [`progress ${output.revision}`];
    case "compacted":
      return [`compacted ${output.compactRevision}`];
    default:
      return output satisfies never;
  }
}

function eventText(revision: number, { type, kv, prevKv }: Event): string {
  if (kv?.modRevision !== revision) return `revision ${kv?.modRevision} in a batch of ${revision}`;
  const before = prevKv === undefined ? "" : ` was ${stateText(prevKv)}`;
  if (type === Event_EventType.DELETE) {
    const bare = kv.createRevision === 0 && kv.version === 0 && kv.value.length === 0 ? "" : " not bare";
    return `${revision} delete ${kv.key.toString("latin1")}${bare}${before}`;
  }
  return `${revision} put ${stateText(kv)}${before}`;
}

function stateText({ key, value, createRevision, modRevision, version }: KeyValue): string {
  const [keyText, valueText] = [key.toString("latin1"), value.toString("latin1")];
  return `${keyText}=${valueText} (${createRevision}..${modRevision} v${version})`;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
