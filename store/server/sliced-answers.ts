import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { invariant } from "../../base/invariant.ts";

type NextCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<NextCall["start"]>[0];
type Status = Parameters<NextCall["sendStatus"]>[0];

/** Longer messages leave in slices of this size. */
const SLICE_BYTES = 1024 * 1024;
/** In front of a message: whether it is compressed (1 byte; never), and its length (gRPC over HTTP/2, Length-Prefixed-Message). */
const PREFIX_BYTES = 5;

/** Lets large messages leave in slices; small ones, and everything else, go the library's way. */
export const slicedAnswers: ServerInterceptor = (_method, nextCall) => new SlicedAnswers(nextCall);

/**
 * grpc-js copies a message to put five bytes in front of it, all in one turn of the event loop: for 1 GiB that takes longer
 * than an election. It has no way to hand a message over in parts, so that these are written to the HTTP/2 stream below it.
 */
class SlicedAnswers extends ServerInterceptingCall {
  readonly #next: NextCall;

  constructor(next: NextCall) {
    super(next);
    this.#next = next;
  }

  override start(listener: Listener): void {
    this.#next.start(listener);
  }

  override sendMetadata(metadata: Metadata): void {
    this.#next.sendMetadata(metadata);
  }

  override sendStatus(status: Status): void {
    this.#next.sendStatus(status);
  }

  override sendMessage(message: Uint8Array, callback: () => void): void {
    if (message.byteLength <= SLICE_BYTES) this.#next.sendMessage(message, callback);
    else void this.#sendSliced(message, callback);
  }

  /** As the library does it, `callback` is not called when the call is over before the message is. */
  async #sendSliced(message: Uint8Array, callback: () => void): Promise<void> {
    const { stream } = this.#next as { readonly stream?: ServerHttp2Stream };
    invariant(stream !== undefined, "a call of grpc-js has its HTTP/2 stream");
    if (isOver(stream)) return;
    this.#next.sendMetadata(new Metadata());
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.byteLength, 1);
    stream.write(prefix);
    for (let from = 0; from < message.byteLength; from += SLICE_BYTES) {
      if (!stream.write(message.subarray(from, from + SLICE_BYTES))) await drained(stream);
      if (isOver(stream)) return;
    }
    callback();
  }
}

function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.writableEnded;
}

/** Resolves when there is room, or never will be. */
async function drained(stream: ServerHttp2Stream): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race(
      ["drain", "close", "finish"].map((event) => once(stream, event, { signal: over.signal })),
    );
  } catch {
    // An error of the stream: whoever owns it is told, and it is over.
  } finally {
    over.abort();
  }
}
