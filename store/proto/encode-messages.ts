import { varintBytes } from "./binary-writer.ts";

/**
 * A repeated message field, from messages that are marshalled already: one copy of each, and no decoding. `tag` is the
 * field's key, below 0x80. The result is the caller's.
 */
export function encodeMessages(tag: number, messages: readonly Uint8Array[]): Buffer {
  let total = 0;
  for (const message of messages) total += 1 + varintBytes(message.length) + message.length;
  const target = Buffer.allocUnsafe(total);
  let at = 0;
  for (const message of messages) {
    target[at++] = tag;
    let length = message.length;
    while (length >= 0x80) {
      target[at++] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    target[at++] = length;
    target.set(message, at);
    at += message.length;
  }
  return target;
}
