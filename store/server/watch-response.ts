import { BinaryWriter, varintBytes } from "../proto/binary-writer.ts";
import { encodeMessages } from "../proto/encode-messages.ts";
import type { EventBatch } from "../watch/types.ts";
import type { ResponseHeaders } from "./response-header.ts";

/** Key byte of WatchResponse.events (field 11, length-delimited). */
const EVENTS_TAG = 0x5a;

/** What a WatchResponse says beside its events (rpc.proto WatchResponse). */
export interface WatchNotice {
  readonly watchId: number;
  /** For the header. */
  readonly revision: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
  /** Marshalled `mvccpb.Event` each. */
  readonly events?: readonly Uint8Array[];
}

/** A marshalled WatchResponse, spliced from events that are marshalled already. The result is the caller's. */
export function encodeWatchResponse(headers: ResponseHeaders, notice: WatchNotice): Buffer {
  const fields = new BinaryWriter();
  if (notice.watchId !== 0) fields.uint32(2 << 3).int64(notice.watchId);
  if (notice.created === true) fields.uint32(3 << 3).bool(true);
  if (notice.canceled === true) fields.uint32(4 << 3).bool(true);
  if (notice.compactRevision !== undefined) fields.uint32(5 << 3).int64(notice.compactRevision);
  if (notice.cancelReason !== undefined) fields.uint32((6 << 3) | 2).string(notice.cancelReason);
  if (notice.fragment === true) fields.uint32(7 << 3).bool(true);
  const head = fields.finish();
  if (notice.events === undefined || notice.events.length === 0) return headers.before(notice.revision, head);
  return headers.before(notice.revision, Buffer.concat([head, encodeMessages(EVENTS_TAG, notice.events)]));
}

/** The part of a watcher's events that goes into one response. */
export interface EventPiece {
  readonly revision: number;
  readonly events: readonly Uint8Array[];
  /** More of the same revision follows. */
  readonly fragment: boolean;
}

/**
 * Cuts batches into responses of about `bytesMax`: between revisions always, inside one only with `fragment`, where a piece
 * holds at least one event.
 */
export function* cutIntoPieces(
  batches: readonly EventBatch[],
  options: { readonly bytesMax: number; readonly fragment: boolean },
): Generator<EventPiece> {
  let revision = 0;
  let events: Uint8Array[] = [];
  let bytes = 0;
  for (const batch of batches) {
    const batchBytes = eventsBytes(batch.events);
    if (events.length > 0 && bytes + batchBytes > options.bytesMax) {
      yield { revision, events, fragment: false };
      [events, bytes] = [[], 0];
    }
    revision = batch.revision;
    for (const event of batch.events) {
      const added = eventBytes(event);
      if (options.fragment && events.length > 0 && bytes + added > options.bytesMax) {
        yield { revision, events, fragment: true };
        [events, bytes] = [[], 0];
      }
      events.push(event);
      bytes += added;
    }
  }
  if (events.length > 0) yield { revision, events, fragment: false };
}

/** Bytes that events take in a response. */
export function eventsBytes(events: readonly Uint8Array[]): number {
  return events.reduce((total, event) => total + eventBytes(event), 0);
}

function eventBytes(event: Uint8Array): number {
  return 1 + varintBytes(event.length) + event.length;
}
