import type { Event as EventMessage } from "../proto/gen/kv.ts";
import { Event_EventType } from "../proto/gen/kv.ts";
import type { WatchResponse } from "../proto/gen/rpc.ts";
import { headerOf, keyValueOf } from "./decode-results.ts";
import type { Header, WatchEvent, WatchItem } from "./types.ts";

/**
 * Where a watch is: the next revision it wants, which every stream that carries it starts from. Pure: takes the responses
 * of one stream after another and gives items in whole revisions, in order, each once.
 */
export class WatchCursor {
  /** 0: from now, until the store says when that is. */
  #nextRevision: number;
  /** The newest revision that any header told of: a store that is behind it is not the store that was followed. */
  #seenRevision = 0;
  #clusterId: bigint | undefined;
  /** Events of a revision that is not complete yet; never more than one revision of them. */
  #held: WatchEvent[] = [];

  constructor(startRevision: number | undefined) {
    this.#nextRevision = startRevision ?? 0;
  }

  get nextRevision(): number {
    return this.#nextRevision;
  }

  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** Forgets half a revision that a broken stream left: the next stream brings it again, whole. */
  restart(): void {
    this.#held = [];
  }

  /**
   * The store's answer to the create request. "created": the first one; "resumed": the history goes on; "behind": the
   * member that answers is behind what was seen, or its store was replaced; "replaced": another cluster answers.
   */
  created(header: Header): "created" | "resumed" | "behind" | "replaced" {
    const first = this.#clusterId === undefined;
    if (!first && this.#clusterId !== header.clusterId) return "replaced";
    this.#clusterId = header.clusterId;
    if (this.#nextRevision === 0) this.#nextRevision = header.revision + 1;
    if (header.revision < this.#seenRevision) return "behind";
    this.#seenRevision = header.revision;
    return first ? "created" : "resumed";
  }

  /** A response with events, or none (progress). Undefined: nothing is complete. */
  accept(response: WatchResponse): WatchItem | undefined {
    const header = headerOf(response);
    this.#seenRevision = Math.max(this.#seenRevision, header.revision);
    if (response.events.length === 0 && !response.fragment) return this.#progress(header);
    for (const event of response.events) {
      if ((event.kv?.modRevision ?? 0) >= this.#nextRevision) this.#held.push(watchEvent(event));
    }
    const events = response.fragment ? this.#takeWholeRevisions() : this.#take(this.#held.length);
    const last = events.at(-1);
    if (last === undefined) return undefined;
    this.#nextRevision = last.kv.modRevision + 1;
    return { kind: "events", revision: last.kv.modRevision, events, header };
  }

  #progress(header: Header): WatchItem | undefined {
    // In the middle of a revision the header says more than was delivered.
    if (this.#held.length > 0) return undefined;
    this.#nextRevision = Math.max(this.#nextRevision, header.revision + 1);
    return { kind: "progress", revision: header.revision, header };
  }

  /** All but the last revision: more of that one may follow. */
  #takeWholeRevisions(): WatchEvent[] {
    const last = this.#held.at(-1)?.kv.modRevision;
    return this.#take(this.#held.findIndex((event) => event.kv.modRevision === last));
  }

  #take(count: number): WatchEvent[] {
    return this.#held.splice(0, Math.max(0, count));
  }
}

const NO_KV = {
  key: Buffer.alloc(0),
  value: Buffer.alloc(0),
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0n,
};

function watchEvent(message: EventMessage): WatchEvent {
  return {
    type: message.type === Event_EventType.DELETE ? "delete" : "put",
    kv: keyValueOf(message.kv ?? NO_KV),
    prevKv: message.prevKv === undefined ? undefined : keyValueOf(message.prevKv),
  };
}
