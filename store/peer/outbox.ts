import type { Later } from "../../base/later.ts";
import type { Message } from "../raft/message.ts";
import { FieldWriter } from "./field-writer.ts";
import { FRAME_HEADER_BYTES, FRAME_TYPE, writeFrame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { encodeMessage } from "./message-codec.ts";
import type { PeerCounters } from "./peer-counters.ts";
import type { PeerLimits } from "./peer-limits.ts";

/** Messages on their way into one connection: those of an event loop's turn leave in one write. */
export class Outbox {
  readonly #channel: FrameChannel;
  readonly #limits: PeerLimits;
  readonly #later: Later;
  readonly #counters: PeerCounters;
  readonly #onRoom: () => void;
  readonly #writer = new FieldWriter();
  #unwrittenMessages = 0;
  /** Written, and not yet taken by the network. */
  #writtenMessages = 0;
  #writtenBytes = 0;

  /** `onRoom`: half of the buffer, or more, is free again after a write. */
  constructor(
    channel: FrameChannel,
    options: {
      readonly limits: PeerLimits;
      readonly later: Later;
      readonly counters: PeerCounters;
      readonly onRoom: () => void;
    },
  ) {
    this.#channel = channel;
    this.#limits = options.limits;
    this.#later = options.later;
    this.#counters = options.counters;
    this.#onRoom = options.onRoom;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#writer.length + this.#writtenBytes;
  }

  get messages(): number {
    return this.#unwrittenMessages + this.#writtenMessages;
  }

  /** Takes a message, or says why not: no room for it now, or larger than any that a peer takes. */
  offer(message: Message): "taken" | "full" | "tooLarge" {
    if (this.#isFullFor(message)) return "full";
    const start = this.#writer.length;
    const frameBytes = writeFrame(this.#writer, FRAME_TYPE.message, (target) =>
      encodeMessage(message, target),
    );
    if (frameBytes - FRAME_HEADER_BYTES > this.#limits.messageBytesMax) {
      this.#writer.cutTo(start);
      return "tooLarge";
    }
    if (this.#unwrittenMessages === 0) this.#later(() => this.flush());
    this.#unwrittenMessages += 1;
    return "taken";
  }

  /** Writes what was taken. */
  flush(): void {
    if (this.#unwrittenMessages === 0) return;
    const messages = this.#unwrittenMessages;
    const bytes = this.#writer.take();
    this.#unwrittenMessages = 0;
    this.#writtenMessages += messages;
    this.#writtenBytes += bytes.length;
    this.#counters.sentMessages += messages;
    this.#channel.write(bytes, () => {
      this.#writtenMessages -= messages;
      this.#writtenBytes -= bytes.length;
      if (this.#isHalfEmpty()) this.#onRoom();
    });
  }

  #isFullFor(message: Message): boolean {
    if (this.messages === 0) return false;
    const { outgoingMessagesMax, outgoingBytesMax } = this.#limits;
    return this.messages >= outgoingMessagesMax || this.bytes + dataBytes(message) > outgoingBytesMax;
  }

  #isHalfEmpty(): boolean {
    const { outgoingMessagesMax, outgoingBytesMax } = this.#limits;
    return 2 * this.messages <= outgoingMessagesMax && 2 * this.bytes <= outgoingBytesMax;
  }
}

/** About the bytes of a message: what is not of a fixed size in it. */
function dataBytes(message: Message): number {
  switch (message.kind) {
    case "append":
      return message.entries.reduce((sum, entry) => sum + entry.data.byteLength, 0);
    case "propose":
      return message.entry.data.byteLength;
    default:
      return 0;
  }
}
