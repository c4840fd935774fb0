import { FieldReader } from "./field-reader.ts";
import { PART_HEADER_BYTES } from "./message-parts.ts";
import { PeerError } from "./peer-error.ts";

/**
 * Lays the parts of a message one behind another; a connection carries one such message at a time. The memory for it is taken
 * when its first part is there, and given out with its last.
 *
 * Entries of the message are views into that memory, so that one of them keeps all of it. An append is longer than what the
 * core puts together (`appendBytes`, 1 MiB) only when it has one entry, so a small entry keeps no more than that.
 */
export class MessageAssembler {
  readonly #messageBytesMax: number;
  #message: Buffer | undefined;
  #at = 0;

  constructor({ messageBytesMax }: { readonly messageBytesMax: number }) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Bytes of memory that are taken for a message that is not whole. */
  get heldBytes(): number {
    return this.#message?.length ?? 0;
  }

  /**
   * Takes the body of a part's frame. The message when it is whole, in memory that is the caller's. Throws PeerError EPEERFRAME
   * where the part is not the next one; nothing can be made of what comes behind that.
   */
  add(body: Buffer): Buffer | undefined {
    if (body.length <= PART_HEADER_BYTES) {
      throw misfit(`expected more than ${PART_HEADER_BYTES} bytes, not ${body.length}`);
    }
    const source = new FieldReader(body, "a part of a message");
    const total = source.safeUint64();
    const offset = source.safeUint64();
    const message = this.#messageOf(total, offset);
    if (source.remaining > total - offset) {
      throw misfit(`expected at most ${total - offset} bytes at byte ${offset}, not ${source.remaining}`);
    }
    message.set(source.bytes(source.remaining), offset);
    this.#at += body.length - PART_HEADER_BYTES;
    if (this.#at < total) return undefined;
    this.#message = undefined;
    this.#at = 0;
    return message;
  }

  #messageOf(total: number, offset: number): Buffer {
    if (offset !== this.#at) throw misfit(`expected the bytes at ${this.#at}, not at ${offset}`);
    if (this.#message !== undefined) {
      if (total === this.#message.length) return this.#message;
      throw misfit(`expected it to belong to ${this.#message.length} bytes, not ${total}`);
    }
    if (total > this.#messageBytesMax) {
      throw misfit(`expected a message of at most ${this.#messageBytesMax} bytes, not ${total}`);
    }
    this.#message = Buffer.allocUnsafeSlow(total);
    return this.#message;
  }
}

function misfit(reason: string): PeerError {
  return new PeerError("EPEERFRAME", `Cannot use part of a message: ${reason}`);
}
