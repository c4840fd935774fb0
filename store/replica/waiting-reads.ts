import { StoreError } from "../proto/errors.ts";
import type { ReadState } from "../raft/types.ts";
import { PendingCall } from "./pending-call.ts";

type Readers = Set<PendingCall<void>>;

/**
 * The callers of readIndex, in batches: one batch is asked for at a time, and the callers that come meanwhile make up
 * the next, because an index that was taken before a caller came does not serve it.
 */
export class WaitingReads {
  #gathering: Readers = new Set();
  #asked: { readonly context: number; readonly readers: Readers } | undefined;
  /** Their index is known, and not applied yet. */
  #indexed: { readonly index: number; readonly readers: Readers }[] = [];
  #lastContext = 0;

  get size(): number {
    return this.#batches().reduce((sum, readers) => sum + readers.size, 0);
  }

  add(options: { readonly deadlineMs: number; readonly signal: AbortSignal }): Promise<void> {
    const readers = this.#gathering;
    const call: PendingCall<void> = new PendingCall({ ...options, onAbort: () => readers.delete(call) });
    readers.add(call);
    return call.promise;
  }

  /** Asks for the gathered batch, unless one is asked for; when `ask` says there is no leader it stays gathered. */
  ask(ask: (context: number) => boolean): void {
    if (this.#asked !== undefined || this.#gathering.size === 0) return;
    const context = this.#lastContext + 1;
    if (!ask(context)) return;
    this.#lastContext = context;
    this.#asked = { context, readers: this.#gathering };
    this.#gathering = new Set();
  }

  answered(state: ReadState): void {
    if (this.#asked?.context !== state.context) return;
    this.#indexed.push({ index: state.index, readers: this.#asked.readers });
    this.#asked = undefined;
  }

  /** The leader that was asked leads no more: the batch asks again. */
  askAgain(): void {
    if (this.#asked === undefined) return;
    for (const reader of this.#gathering) this.#asked.readers.add(reader);
    this.#gathering = this.#asked.readers;
    this.#asked = undefined;
  }

  /** Lets go whoever waits for an index up to this one. */
  appliedTo(index: number): void {
    while (this.#indexed[0] !== undefined && this.#indexed[0].index <= index) {
      for (const reader of this.#indexed.shift()?.readers ?? []) reader.resolve();
    }
  }

  /** Rejects with Timeout what has waited until `nowMs`. */
  expire(nowMs: number): void {
    for (const readers of this.#batches()) {
      for (const reader of readers) {
        if (reader.deadlineMs > nowMs) break;
        readers.delete(reader);
        reader.reject(new StoreError("Timeout"));
      }
    }
  }

  rejectAll(error: StoreError): void {
    const batches = this.#batches();
    this.#gathering = new Set();
    this.#asked = undefined;
    this.#indexed = [];
    for (const readers of batches) for (const reader of readers) reader.reject(error);
  }

  #batches(): readonly Readers[] {
    const asked = this.#asked === undefined ? [] : [this.#asked.readers];
    return [this.#gathering, ...asked, ...this.#indexed.map((batch) => batch.readers)];
  }
}
