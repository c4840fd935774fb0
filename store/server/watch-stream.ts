import { sleepUnlessAborted } from "../../base/clock.ts";
import { STORE_ERRORS } from "../proto/errors.ts";
import { type WatchCreateRequest, WatchCreateRequest_FilterType, WatchRequest } from "../proto/gen/rpc.ts";
import type { Watcher, WatchOutput, WatchSpec } from "../watch/types.ts";
import { decodeRequest } from "./decode-request.ts";
import { OutboundQueue } from "./outbound-queue.ts";
import { cutIntoPieces, encodeWatchResponse, eventsBytes, type WatchNotice } from "./watch-response.ts";
import type { WatchServiceOptions } from "./watch-service.ts";

/** Stands for the whole stream in a response (etcd clientv3 InvalidWatchID). */
const NO_WATCH_ID = -1;
/** Words of etcd's mvcc package, which clients match on. */
const DUPLICATE_ID = "mvcc: duplicate watch ID provided on the WatchStream";
const EMPTY_RANGE = "mvcc: watcher range is empty";
/** What a response without events is counted as in the queue. */
const NOTICE_BYTES = 64;
const FROM_FIRST_KEY = Buffer.from([0]);

interface Entry {
  /** Undefined only while the hub is being told of it. */
  watcher: Watcher | undefined;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** No events since the last progress tick. */
  quiet: boolean;
}

/** One Watch stream: its watchers, and what waits to be sent to its client. */
export class WatchStream {
  readonly #options: WatchServiceOptions;
  readonly #queue: OutboundQueue;
  readonly #entries = new Map<number, Entry>();
  /** Those for which the hub had something while the queue was full. */
  readonly #refused = new Set<Entry>();
  #nextId = 0;
  #tellsProgress = false;
  readonly #ended = new AbortController();

  constructor(options: WatchServiceOptions, respond: (message: Uint8Array) => Promise<void>) {
    this.#options = options;
    this.#queue = new OutboundQueue({
      respond,
      bytesMax: options.streamBufferBytesMax,
      onRoom: () => this.#resumeRefused(),
    });
  }

  /** Serves until the client ends its side or the requests fail; all watchers are gone after it. */
  async serve(requests: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const bytes of requests) {
        // Answers to requests are queued too: a client that only asks and never reads is not read from either.
        await this.#queue.room();
        this.#handle(decodeRequest(WatchRequest, bytes));
      }
      this.#cancelAll();
      await this.#queue.drained();
    } finally {
      this.#ended.abort();
      this.#cancelAll();
      this.#queue.discard();
    }
  }

  #handle({ requestUnion: request }: WatchRequest): void {
    switch (request?.$case) {
      case "createRequest":
        this.#create(request.value);
        break;
      case "cancelRequest":
        this.#cancel(request.value.watchId);
        break;
      case "progressRequest":
        this.#tellAllProgress();
        break;
      case undefined:
        // A request of a newer kind is passed over, as etcd does.
        break;
      default:
        request satisfies never;
    }
  }

  #create(request: WatchCreateRequest): void {
    const { hub, catchUp } = this.#options;
    const spec = specOf(request);
    const refusal = this.#refusalOf(request, spec);
    if (refusal !== undefined) {
      this.#notify({ watchId: NO_WATCH_ID, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const watchId = request.watchId === 0 ? this.#freeId() : request.watchId;
    const { fragment, progressNotify } = request;
    const entry: Entry = { watcher: undefined, fragment, progressNotify, quiet: true };
    this.#entries.set(watchId, entry);
    this.#notify({ watchId, created: true });
    const watcher = hub.watch(spec, { offer: (output) => this.#offer(watchId, entry, output) });
    // The hub may have ended it already, when it starts below the compacted revision.
    if (this.#entries.get(watchId) === entry) entry.watcher = watcher;
    catchUp.kick();
    if (progressNotify) this.#startProgress();
  }

  #refusalOf(request: WatchCreateRequest, spec: WatchSpec): string | undefined {
    if (request.startRevision < 0) return STORE_ERRORS.Compacted[1];
    const { key, rangeEnd } = spec;
    const isToTheEnd = rangeEnd.length === 1 && rangeEnd[0] === 0;
    if (rangeEnd.length > 0 && !isToTheEnd && Buffer.compare(key, rangeEnd) >= 0) return EMPTY_RANGE;
    return this.#entries.has(request.watchId) && request.watchId !== 0 ? DUPLICATE_ID : undefined;
  }

  #freeId(): number {
    while (this.#entries.has(this.#nextId)) this.#nextId += 1;
    return this.#nextId++;
  }

  #cancel(watchId: number): void {
    const entry = this.#entries.get(watchId);
    if (entry === undefined) return;
    this.#entries.delete(watchId);
    this.#refused.delete(entry);
    entry.watcher?.cancel();
    this.#notify({ watchId, canceled: true });
  }

  #offer(watchId: number, entry: Entry, output: WatchOutput): boolean {
    if (this.#queue.isFull) {
      this.#refused.add(entry);
      return false;
    }
    switch (output.kind) {
      case "events":
        this.#queueEvents(watchId, entry, output);
        break;
      case "progress":
        this.#notify({ watchId, revision: output.revision });
        break;
      case "compacted":
        this.#entries.delete(watchId);
        this.#notify({ watchId, canceled: true, compactRevision: output.compactRevision });
        break;
      default:
        output satisfies never;
    }
    return true;
  }

  #queueEvents(watchId: number, entry: Entry, { batches }: Extract<WatchOutput, { kind: "events" }>): void {
    const { headers, responseBytesMax } = this.#options;
    const { fragment } = entry;
    entry.quiet = false;
    this.#queue.put({
      bytes: batches.reduce((total, batch) => total + eventsBytes(batch.events), NOTICE_BYTES),
      encode: function* () {
        for (const piece of cutIntoPieces(batches, { bytesMax: responseBytesMax, fragment })) {
          yield encodeWatchResponse(headers, { watchId, ...piece });
        }
      },
    });
  }

  /** Queues a response without events. */
  #notify(notice: Omit<WatchNotice, "revision"> & { readonly revision?: number }): void {
    const { headers, replica } = this.#options;
    const { revision = replica.state.revision } = notice;
    this.#queue.put({
      bytes: NOTICE_BYTES,
      encode: () => [encodeWatchResponse(headers, { ...notice, revision })],
    });
  }

  /** A manual progress request: one answer for the stream when every watcher on it has everything, else none (as etcd). */
  #tellAllProgress(): void {
    if (this.#entries.size === 0) return;
    for (const { watcher } of this.#entries.values()) if (watcher?.synced !== true) return;
    this.#notify({ watchId: NO_WATCH_ID });
  }

  #startProgress(): void {
    if (this.#tellsProgress) return;
    this.#tellsProgress = true;
    void this.#runProgress();
  }

  async #runProgress(): Promise<void> {
    const { clock, random, progressIntervalMs } = this.#options;
    // Up to a tenth later, so that streams opened together (after a restart) do not all speak together.
    const intervalMs = progressIntervalMs * (1 + random.next() / 10);
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await sleepUnlessAborted(clock, intervalMs, { signal });
      if (signal.aborted) return;
      for (const entry of this.#entries.values()) {
        if (entry.progressNotify && entry.quiet) entry.watcher?.tellProgress();
        entry.quiet = true;
      }
    }
  }

  #resumeRefused(): void {
    if (this.#refused.size === 0) return;
    const refused = [...this.#refused];
    this.#refused.clear();
    for (const { watcher } of refused) watcher?.resume();
    this.#options.catchUp.kick();
  }

  #cancelAll(): void {
    for (const { watcher } of this.#entries.values()) watcher?.cancel();
    this.#entries.clear();
    this.#refused.clear();
  }
}

function specOf(request: WatchCreateRequest): WatchSpec {
  const { key, rangeEnd, startRevision, prevKv, filters } = request;
  return {
    // etcd takes an empty key for the smallest one.
    key: key.length === 0 ? FROM_FIRST_KEY : key,
    rangeEnd,
    startRevision,
    prevKv,
    noPut: filters.includes(WatchCreateRequest_FilterType.NOPUT),
    noDelete: filters.includes(WatchCreateRequest_FilterType.NODELETE),
  };
}
