import { invariant } from "../../base/invariant.ts";
import { FieldWriter } from "./field-writer.ts";
import { FRAME_HEADER_BYTES, FRAME_TYPE, FRAME_TYPE_BYTES, writeFrame } from "./frame.ts";
import {
  ENTRY_START_BYTES,
  type EntryMessage,
  encodedBytes,
  encodeEntryStart,
  encodeStart,
} from "./message-codec.ts";

/** Before a part's bytes: how long the message is, and where in it they belong. */
export const PART_HEADER_BYTES = 16;
const FRAME_START_BYTES = FRAME_HEADER_BYTES + FRAME_TYPE_BYTES + PART_HEADER_BYTES;
/** A message's start must fit into its first part. */
const PART_BYTES_MIN = 64;

/**
 * A message on its way out in several frames, each of which is encoded only when it is asked for; so an entry's bytes are copied
 * once, into the frame that leaves. Laid one behind another, the parts are what encodeMessage() writes.
 */
export class MessageParts {
  readonly #bytes: number;
  readonly #writer: FieldWriter;
  readonly #fields: Generator<undefined, void>;
  #at = 0;

  /** `partBytes`: of the message in one part, at most; from 64 on. The entries must not change until the last one. */
  constructor(message: EntryMessage, { partBytes }: { readonly partBytes: number }) {
    invariant(partBytes >= PART_BYTES_MIN, `parts of ${partBytes} bytes have at least ${PART_BYTES_MIN}`);
    const frameBytes = FRAME_START_BYTES + partBytes;
    this.#bytes = encodedBytes(message);
    this.#writer = new FieldWriter({ scratchBytes: frameBytes });
    this.#fields = writeUpTo(frameBytes, message, this.#writer);
  }

  /** Bytes of the message that are in no part yet. */
  get remainingBytes(): number {
    return this.#bytes - this.#at;
  }

  /** The frame with the next part, in memory that is the caller's. Only while bytes remain. */
  next(): Buffer {
    invariant(this.remainingBytes > 0, "there is another part");
    let isLast = false;
    writeFrame(this.#writer, FRAME_TYPE.messagePart, (target) => {
      target.safeUint64(this.#bytes);
      target.safeUint64(this.#at);
      isLast = this.#fields.next().done === true;
    });
    const frame = this.#writer.take();
    this.#at += frame.length - FRAME_START_BYTES;
    invariant(isLast === (this.#at === this.#bytes), `${this.#at} of ${this.#bytes} bytes are in parts`);
    return frame;
  }
}

/** Yields whenever `target` holds `endBytes`, or would with the next fields; it is to be emptied by then. */
function* writeUpTo(
  endBytes: number,
  message: EntryMessage,
  target: FieldWriter,
): Generator<undefined, void> {
  encodeStart(message, target);
  if (message.kind === "propose") return yield* writeData(message.entry.data);
  let { index } = message.prev;
  for (const entry of message.entries) {
    index += 1;
    if (target.length + ENTRY_START_BYTES > endBytes) yield;
    encodeEntryStart(entry, index, target);
    yield* writeData(entry.data);
  }

  function* writeData(data: Uint8Array): Generator<undefined, void> {
    for (let at = 0; at < data.byteLength; ) {
      if (target.length >= endBytes) yield;
      const piece = data.subarray(at, at + endBytes - target.length);
      target.bytes(piece);
      at += piece.byteLength;
    }
  }
}
