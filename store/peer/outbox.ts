import type { Later } from "../../base/later.ts";
import type { Message } from "../raft/message.ts";
import { FieldWriter } from "./field-writer.ts";
import { FRAME_TYPE, writeFrame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { carriesEntries, type EntryMessage, encodedBytes, encodeMessage } from "./message-codec.ts";
import { MessageParts } from "./message-parts.ts";
import { OutgoingEntries } from "./outgoing-entries.ts";
import type { PeerCounters } from "./peer-counters.ts";
import type { PeerLimits } from "./peer-limits.ts";

/** How many messages; those with entries, and the others, have limits of their own. */
interface Count {
  entries: number;
  others: number;
}

/**
 * Messages on their way into one connection: those of an event loop's turn leave in one write. When the network is slower
 * than that, messages with entries wait here for the socket, and long ones leave in parts; the others (heartbeats, votes,
 * answers) leave at once, so that they never wait behind entries for longer than `socketBytesMax` of them take.
 *
 * That these overtake is nothing new to the core, to which a network may reorder anything: a heartbeat's commit is no more
 * than what the peer is known to hold, and each message bears its term. Appends stay in order among themselves, even empty
 * ones: one that came before those that it is built on would be rejected, and all of them sent again.
 */
export class Outbox {
  readonly #channel: FrameChannel;
  readonly #limits: PeerLimits;
  readonly #later: Later;
  readonly #counters: PeerCounters;
  readonly #onRoom: () => void;
  /** Whole frames, to be written in this turn. */
  readonly #frames = new FieldWriter();
  #framed: Count = { entries: 0, others: 0 };
  readonly #queue = new OutgoingEntries();
  /** The queue's first message, while it leaves. */
  #parts: MessageParts | undefined;
  /** All that were taken here and not yet by the network. */
  readonly #waiting: Count = { entries: 0, others: 0 };
  #writtenBytes = 0;
  #isScheduled = false;
  readonly #gone: Promise<void>;
  #flushed: PromiseWithResolvers<void> | undefined;

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
    this.#gone = channel.closed.then(() => this.#drop());
  }

  /** Bytes that wait, here or in the socket. */
  get bytes(): number {
    const partlySent = this.#parts === undefined ? 0 : this.#queue.firstBytes - this.#parts.remainingBytes;
    return this.#frames.length + this.#queue.bytes - partlySent + this.#writtenBytes;
  }

  /**
   * Takes a message, or says why not: no room for it now, or larger than any that a peer takes. Entries must not change
   * from now on.
   */
  offer(message: Message): "taken" | "full" | "tooLarge" {
    if (!carriesEntries(message)) {
      if (this.#waiting.others >= this.#limits.outgoingMessagesMax) return "full";
      this.#waiting.others += 1;
      this.#frame(message, "others");
      this.#schedule();
      return "taken";
    }
    const bytes = encodedBytes(message);
    if (bytes > this.#limits.messageBytesMax) return "tooLarge";
    // While a long message leaves, answers to heartbeats may make the core send it again.
    if (this.#queue.has(message)) return "taken";
    if (this.#isFullFor(message, bytes)) return "full";
    this.#waiting.entries += 1;
    const leavesNow = this.#queue.isEmpty && bytes <= this.#limits.partBytes && this.#socketHasRoom;
    if (leavesNow) this.#frame(message, "entries");
    else this.#queue.add(message, bytes);
    this.#schedule();
    return "taken";
  }

  /** Resolves when the socket has all that was taken, or the connection is gone. */
  flushed(): Promise<void> {
    this.#leave();
    if (this.#isEmpty) return Promise.resolve();
    this.#flushed ??= Promise.withResolvers<void>();
    return Promise.race([this.#flushed.promise, this.#gone]);
  }

  /** An append without entries only shows the core what arrives: it passes as long as there are not too many messages. */
  #isFullFor(message: EntryMessage, bytes: number): boolean {
    const { outgoingMessagesMax, outgoingBytesMax } = this.#limits;
    if (this.#waiting.entries === 0) return false;
    if (this.#waiting.entries >= outgoingMessagesMax) return true;
    const isEmpty = message.kind === "append" && message.entries.length === 0;
    return !isEmpty && this.bytes + bytes > outgoingBytesMax;
  }

  get #isHalfEmpty(): boolean {
    const { outgoingMessagesMax, outgoingBytesMax } = this.#limits;
    const messages = Math.max(this.#waiting.entries, this.#waiting.others);
    return 2 * messages <= outgoingMessagesMax && 2 * this.bytes <= outgoingBytesMax;
  }

  get #isEmpty(): boolean {
    return this.#queue.isEmpty && this.#frames.length === 0;
  }

  get #socketHasRoom(): boolean {
    return this.#frames.length + this.#writtenBytes < this.#limits.socketBytesMax;
  }

  #frame(message: Message, kind: keyof Count): void {
    writeFrame(this.#frames, FRAME_TYPE.message, (target) => encodeMessage(message, target));
    this.#framed[kind] += 1;
  }

  /** One stretch of encoding and writing a turn. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#later(() => {
      this.#isScheduled = false;
      this.#leave();
    });
  }

  #leave(): void {
    if (this.#channel.failure !== undefined) return;
    for (let next = this.#queue.first; next !== undefined && this.#socketHasRoom; next = this.#queue.first) {
      if (this.#queue.firstBytes > this.#limits.partBytes) {
        this.#writePart(next);
      } else {
        this.#queue.shift();
        this.#frame(next, "entries");
      }
    }
    this.#writeFrames();
    if (this.#isEmpty) this.#flushed?.resolve();
  }

  /** What was framed is older, or small. */
  #writePart(message: EntryMessage): void {
    this.#writeFrames();
    this.#parts ??= new MessageParts(message, this.#limits);
    const frame = this.#parts.next();
    const isLast = this.#parts.remainingBytes === 0;
    if (isLast) {
      this.#parts = undefined;
      this.#queue.shift();
    }
    this.#write(frame, { entries: isLast ? 1 : 0, others: 0 });
  }

  #writeFrames(): void {
    if (this.#frames.length === 0) return;
    const framed = this.#framed;
    this.#framed = { entries: 0, others: 0 };
    this.#write(this.#frames.take(), framed);
  }

  /** `ended`: messages of which these are the last bytes. */
  #write(bytes: Buffer, ended: Readonly<Count>): void {
    this.#writtenBytes += bytes.length;
    this.#counters.sentMessages += ended.entries + ended.others;
    this.#channel.write(bytes, () => {
      this.#writtenBytes -= bytes.length;
      this.#waiting.entries -= ended.entries;
      this.#waiting.others -= ended.others;
      if (this.#isHalfEmpty) this.#onRoom();
      if (!this.#queue.isEmpty) this.#schedule();
    });
  }

  /** The connection is gone, and with it what had not left; of a message that had left in part, the peer keeps nothing. */
  #drop(): void {
    this.#counters.droppedMessages += this.#queue.length + this.#framed.entries + this.#framed.others;
    this.#queue.clear();
    this.#parts = undefined;
  }
}
