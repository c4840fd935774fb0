import { once } from "node:events";
import type { ServerDuplexStream } from "@grpc/grpc-js";

/** Messages of one stream that may wait before the client is asked to hold on. */
const WAITING_MAX = 16;

/**
 * The messages that a client sends on a stream, in order, until it ends its side; throws the signal's reason when the call
 * is over before that. Reading stops while nobody takes them, which HTTP/2 flow control carries to the client. Unlike
 * the stream's own iterator it never destroys the stream, which is still to be answered on.
 */
export async function* incomingMessages(
  call: ServerDuplexStream<Uint8Array, Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = [];
  let hasEnded = false;
  let wake: () => void = () => undefined;
  call.on("data", (message: Uint8Array) => {
    waiting.push(message);
    if (waiting.length >= WAITING_MAX) call.pause();
    wake();
  });
  call.on("end", () => {
    hasEnded = true;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const message = waiting.shift();
      if (message !== undefined) {
        if (call.isPaused()) call.resume();
        yield message;
        continue;
      }
      if (hasEnded) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    call.pause();
  }
}

/**
 * Writes one message and resolves when the transport has room for the next; rejects with the signal's reason when the call
 * is over.
 */
export async function writeMessage(
  call: ServerDuplexStream<Uint8Array, Uint8Array>,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (!call.write(message)) await once(call, "drain", { signal });
}
