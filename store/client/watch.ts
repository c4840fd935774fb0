import type { ClientDuplexStream } from "@grpc/grpc-js";
import { backoffMs } from "../../base/backoff.ts";
import { WatchCreateRequest_FilterType, type WatchRequest, type WatchResponse } from "../proto/gen/rpc.ts";
import { backoffLimits, type CallContext, callMetadata, callUnary } from "./call.ts";
import { ClientError } from "./client-error.ts";
import type { Connection } from "./connection.ts";
import { headerOf } from "./decode-results.ts";
import { rangeRequest } from "./encode-operations.ts";
import { type Failure, failureOf, storeErrorCode, TransportTrouble } from "./failure.ts";
import { keyRange } from "./key-range.ts";
import { METHODS } from "./method.ts";
import type { Header, WatchItem, WatchOptions } from "./types.ts";
import { WatchCursor } from "./watch-cursor.ts";

/** The store ended the watch, in its own words, and the stream may still stand. */
class WatchRefused extends Error {
  override readonly name = "WatchRefused";
}

/**
 * Follows a range of keys, over as many streams as it takes: when one breaks, or its member has lost the leader, the next
 * endpoint is asked from the next revision on. Ends after `compacted`. Throws ClientError when the store refuses the
 * watch, and the signal's reason.
 */
export async function* watch(context: CallContext, wanted: WatchOptions): AsyncGenerator<WatchItem, void> {
  const { connections, clock, limits, random } = context;
  const options = { ...wanted, signal: AbortSignal.any([wanted.signal, connections.closing]) };
  const cursor = new WatchCursor(options.startRevision);
  for (let failures = 0; ; failures++) {
    options.signal.throwIfAborted();
    const connection = connections.current();
    const openedAtMs = clock.monotonicMs();
    try {
      for await (const item of watchStream(context, { connection, cursor, options })) {
        yield item;
        if (item.kind === "compacted") return;
      }
    } catch (error) {
      options.signal.throwIfAborted();
      const failure = streamFailure(error, context);
      if (!failure.transient) throw refused(options, { failure, endpoint: connection.endpoint.text });
      // A stream that served for a while says nothing about the next one; one that breaks at once says "slow down".
      if (clock.monotonicMs() - openedAtMs > limits.backoffMaxMs) failures = 0;
      const round = Math.floor(failures / connections.endpointCount);
      const waitMs = backoffMs(round, backoffLimits(limits), random);
      const { detail: reason, answered } = failure;
      connections.failed(connection, { reason, answered, retryInMs: waitMs });
      await clock.sleep(waitMs, { signal: options.signal });
    }
  }
}

interface StreamOptions {
  readonly connection: Connection;
  readonly cursor: WatchCursor;
  readonly options: WatchOptions;
}

/** One stream. Throws when it ends, however it ends, unless `compacted` was its last item. */
async function* watchStream(context: CallContext, stream: StreamOptions): AsyncGenerator<WatchItem, void> {
  const { connection, cursor, options } = stream;
  const { signal } = options;
  cursor.restart();
  await connection.settled({ timeoutMs: context.limits.dialTimeoutMs, signal });
  const metadata = await callMetadata(context, { connection, signal });
  // A member cut off from the leader then ends the stream, instead of leaving it silent.
  metadata.set("hasleader", "true");
  const call = connection.stream(METHODS.watch, metadata);
  const onAbort = () => call.cancel();
  signal.addEventListener("abort", onAbort, { once: true });
  const createTimer = setTimeout(
    () => call.destroy(trouble(`no answer to the watch within ${context.limits.tryTimeoutMs} ms`)),
    context.limits.tryTimeoutMs,
  );
  try {
    call.write(createRequest(options, cursor.nextRevision));
    for await (const response of responses(call)) {
      if (response.created && !response.canceled) clearTimeout(createTimer);
      yield* itemsOf(context, stream, response);
    }
    throw trouble("the store ended the stream");
  } finally {
    clearTimeout(createTimer);
    signal.removeEventListener("abort", onAbort);
    call.cancel();
  }
}

async function* itemsOf(
  context: CallContext,
  stream: StreamOptions,
  response: WatchResponse,
): AsyncGenerator<WatchItem, void> {
  const { cursor, options } = stream;
  const header = headerOf(response);
  if (response.compactRevision > 0) {
    yield { kind: "compacted", compactRevision: response.compactRevision, header };
  } else if (response.canceled) {
    throw new WatchRefused(response.cancelReason || "etcdserver: watch canceled");
  } else if (response.created) {
    context.connections.succeeded(stream.connection);
    const outcome = cursor.created(header);
    if (outcome === "created") yield { kind: "created", revision: header.revision, header };
    else if (outcome === "replaced") yield lostHistory(header);
    else if (outcome === "behind") yield* checkHistory(context, { cursor, signal: options.signal });
  } else {
    const item = cursor.accept(response);
    if (item !== undefined) yield item;
  }
}

/**
 * A member told of an older revision than was seen before. It may only be behind: then the leader knows better. When even
 * a linearizable read is behind, the store was replaced by an older one, and its history is another.
 */
async function* checkHistory(
  context: CallContext,
  options: { readonly cursor: WatchCursor; readonly signal: AbortSignal },
): AsyncGenerator<WatchItem, void> {
  const plan = { what: "read the store's revision", repeatable: true, signal: options.signal };
  const answer = await callUnary(context, METHODS.range, rangeRequest("\0", { countOnly: true }), plan);
  const header = headerOf(answer);
  if (header.revision < options.cursor.seenRevision) yield lostHistory(header);
}

function lostHistory(header: Header): WatchItem {
  return { kind: "compacted", compactRevision: header.revision, header };
}

function createRequest(options: WatchOptions, startRevision: number): WatchRequest {
  const range = {
    prefix: options.prefix ?? false,
    ...(options.rangeEnd === undefined ? {} : { rangeEnd: options.rangeEnd }),
  };
  const filters = (options.filters ?? []).map((filter) =>
    filter === "noput" ? WatchCreateRequest_FilterType.NOPUT : WatchCreateRequest_FilterType.NODELETE,
  );
  const value = {
    ...keyRange(options.key, range),
    startRevision,
    progressNotify: options.progressNotify ?? false,
    filters,
    prevKv: options.prevKv ?? false,
    watchId: 0,
    fragment: true,
  };
  return { requestUnion: { $case: "createRequest", value } };
}

/** The stream's messages; leaves cancelling to the caller. */
function responses(call: ClientDuplexStream<WatchRequest, WatchResponse>): AsyncIterable<WatchResponse> {
  // An error after the iteration was left is the answer to our own cancel.
  call.on("error", () => undefined);
  return call;
}

function streamFailure(error: unknown, context: CallContext): Failure {
  if (error instanceof ClientError) {
    const { code, detail, retryable: transient } = error;
    return { code, detail, left: true, transient, answered: false, cause: error };
  }
  if (error instanceof WatchRefused) {
    const code = storeErrorCode(error.message) ?? "Rejected";
    const transient = code === "NoLeader" || code === "Stopped";
    return { code, detail: error.message, left: true, transient, answered: true, cause: error };
  }
  const failure = failureOf(error);
  const again = failure.code === "Unauthenticated" && context.auth?.forget() === true;
  return again ? { ...failure, transient: true } : failure;
}

function refused(
  options: WatchOptions,
  at: { readonly failure: Failure; readonly endpoint: string },
): ClientError {
  const { code, detail, cause } = at.failure;
  const key = typeof options.key === "string" ? options.key : Buffer.from(options.key).toString();
  const message = `Cannot watch ${JSON.stringify(key)} at ${at.endpoint}: ${detail}`;
  return new ClientError(code, message, { detail, retryable: false, cause });
}

function trouble(message: string): TransportTrouble {
  return new TransportTrouble(message, { left: true });
}
