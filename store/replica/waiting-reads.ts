import { StoreError } from "../proto/errors.ts";
import type { ReadState } from "../raft/types.ts";
import { PendingCall } from "./pending-call.ts";

type Readers = Set<PendingCall<void>>;

/** What the core said: only "accepted" is worth waiting for. */
type Ask = (context: bigint) => "accepted" | "noLeader" | "tooMany";

/**
 * The callers of readIndex, in batches: one batch is asked for at a time, and the callers that come meanwhile make up
 * the next, because an index that was taken before a caller came does not serve it. A question may get lost with a
 * message or a leader; it is asked again with another context, so that a late answer to the first is none to the second.
 */
export class WaitingReads {
  readonly #nextContext: () => bigint;
  #gathering: Readers = new Set();
  #asked: { readonly context: bigint; readonly askedMs: number; readonly readers: Readers } | undefined;
  /** Their index is known, and not applied yet. */
  #indexed: { readonly index: number; readonly readers: Readers }[] = [];

  /** `nextContext` gives numbers that no member, in no run, gives twice. */
  constructor(nextContext: () => bigint) {
    this.#nextContext = nextContext;
  }

  get size(): number {
    return this.#batches().reduce((sum, readers) => sum + readers.size, 0);
  }

  add(options: { readonly deadlineMs: number; readonly signal: AbortSignal }): Promise<void> {
    const call: PendingCall<void> = new PendingCall({ ...options, onAbort: () => this.#forget(call) });
    this.#gathering.add(call);
    return call.promise;
  }

  /** Asks for the gathered batch, unless one is asked for; when there is nobody to ask it stays gathered. */
  ask(ask: Ask, nowMs: number): void {
    if (this.#asked !== undefined || this.#gathering.size === 0) return;
    const context = this.#nextContext();
    if (ask(context) !== "accepted") return;
    this.#asked = { context, askedMs: nowMs, readers: this.#gathering };
    this.#gathering = new Set();
  }

  answered(state: ReadState): void {
    if (this.#asked?.context !== state.context) return;
    this.#indexed.push({ index: state.index, readers: this.#asked.readers });
    this.#asked = undefined;
  }

  /** What was asked before `beforeMs` and has no answer is to be asked again; all of it when the leader has changed. */
  askAgain(beforeMs = Number.POSITIVE_INFINITY): void {
    if (this.#asked === undefined || this.#asked.askedMs >= beforeMs) return;
    const { readers } = this.#asked;
    for (const reader of this.#gathering) readers.add(reader);
    this.#gathering = readers;
    this.#asked = undefined;
  }

  /** Lets go whoever waits for an index up to this one. */
  appliedTo(index: number): void {
    const isDue = this.#indexed.some((batch) => batch.index <= index);
    if (!isDue) return;
    const due = this.#indexed.filter((batch) => batch.index <= index);
    this.#indexed = this.#indexed.filter((batch) => batch.index > index);
    for (const { readers } of due) for (const reader of readers) reader.resolve();
  }

  /** Rejects with Timeout what has waited until `nowMs`. */
  expire(nowMs: number): void {
    for (const readers of this.#batches()) {
      for (const reader of readers) {
        if (reader.deadlineMs > nowMs) continue;
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

  /** Batches are merged when they are asked for again: the caller is in one of them. */
  #forget(call: PendingCall<void>): void {
    for (const readers of this.#batches()) readers.delete(call);
  }

  #batches(): readonly Readers[] {
    const asked = this.#asked === undefined ? [] : [this.#asked.readers];
    return [this.#gathering, ...asked, ...this.#indexed.map((batch) => batch.readers)];
  }
}
