import { varintBytes } from "./binary-writer.ts";

/** Laid out between two yields: about a millisecond. */
const BYTES_A_STEP = 1024 * 1024;

/**
 * A repeated message field, from messages that are marshalled already: one copy of each, and no decoding. `tag` is the
 * field's key, below 0x80. The result is the caller's.
 */
export function encodeMessages(tag: number, messages: readonly Uint8Array[]): Buffer {
  const target = Buffer.allocUnsafe(fieldBytes(messages));
  let at = 0;
  for (const message of messages) at = writeField(target, at, { tag, message });
  return target;
}

/** The same between two other parts of a message, in steps: an answer may hold a gigabyte. */
export function* encodeMessagesBetween(
  before: Uint8Array,
  { tag, messages }: { readonly tag: number; readonly messages: readonly Uint8Array[] },
  behind: Uint8Array,
): Generator<undefined, Buffer> {
  const target = Buffer.allocUnsafe(before.length + fieldBytes(messages) + behind.length);
  target.set(before);
  let at = before.length;
  let yieldAt = at + BYTES_A_STEP;
  for (const message of messages) {
    at = writeField(target, at, { tag, message });
    if (at < yieldAt) continue;
    yieldAt = at + BYTES_A_STEP;
    yield;
  }
  target.set(behind, at);
  return target;
}

function fieldBytes(messages: readonly Uint8Array[]): number {
  let total = 0;
  for (const message of messages) total += 1 + varintBytes(message.length) + message.length;
  return total;
}

/** Returns the place behind it. */
function writeField(
  target: Buffer,
  start: number,
  { tag, message }: { readonly tag: number; readonly message: Uint8Array },
): number {
  let at = start;
  target[at++] = tag;
  let length = message.length;
  while (length >= 0x80) {
    target[at++] = (length & 0x7f) | 0x80;
    length >>>= 7;
  }
  target[at++] = length;
  target.set(message, at);
  return at + message.length;
}
