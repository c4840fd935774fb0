import { errorMessage } from "../../base/errors.ts";
import { idText } from "../raft/id-text.ts";
import type { SnapshotMessage } from "../raft/message.ts";
import { FieldReader } from "./field-reader.ts";
import { encodeFrame, FRAME_TYPE, type Frame } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { decodeMessage } from "./message-codec.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { SilenceWatch } from "./silence-watch.ts";
import { SNAPSHOT_LOOKS } from "./snapshot-sender.ts";

const PING = encodeFrame(FRAME_TYPE.ping);
/** A refusal's reason, in characters. */
const REASON_LENGTH_MAX = 1_000;

/** Gives the snapshot that comes on a connection to the member, and tells the sender what became of it. */
export async function receiveSnapshot(
  channel: FrameChannel,
  from: bigint,
  options: { readonly context: PeerContext; readonly counters: PeerCounters },
): Promise<void> {
  const { context, counters } = options;
  const { snapshotStallMs } = context.limits;
  const body = new SnapshotBody(channel);
  const watch = new SilenceWatch(() => body.signs, {
    intervalMs: snapshotStallMs / SNAPSHOT_LOOKS,
    silentLooksMax: SNAPSHOT_LOOKS,
    onLook: () => channel.write(PING),
    onSilent: () => {
      const reason = `Cannot receive snapshot from ${idText(from)}: nothing of it came for ${snapshotStallMs} ms`;
      channel.discard(new PeerError("EPEERTIMEOUT", reason));
    },
  });
  counters.activeConnections += 1;
  try {
    const message = await body.start({ from, to: context.id });
    await context.handler.receiveSnapshot(message, body.content());
    counters.snapshotsReceived += 1;
    channel.write(encodeFrame(FRAME_TYPE.snapshotTaken));
  } catch (error) {
    counters.snapshotReceiveFailures += 1;
    const reason = errorMessage(error);
    context.logger.warn({ peer: idText(from), reason }, "could not take a snapshot from a peer");
    const text = reason.slice(0, REASON_LENGTH_MAX);
    channel.write(encodeFrame(FRAME_TYPE.snapshotRefused, (target) => target.string(text)));
  } finally {
    watch.stop();
    await linger(channel, context.limits.closeMs);
    counters.activeConnections -= 1;
  }
}

/** Reads on until the sender has closed: bytes left unread would take the answer with them. */
async function linger(channel: FrameChannel, limitMs: number): Promise<void> {
  channel.discard(new PeerError("EPEERCLOSED", "The snapshot's transfer is over"));
  const timer = setTimeout(() => channel.end(), limitMs);
  await channel.closed;
  clearTimeout(timer);
}

/** The frames of one snapshot. */
class SnapshotBody {
  readonly #channel: FrameChannel;
  #bytes = 0;
  #isReading = false;
  #ownPauses = 0;

  constructor(channel: FrameChannel) {
    this.#channel = channel;
  }

  /** Stands still only while something is wanted of the sender and nothing comes. */
  get signs(): number {
    if (!this.#isReading) this.#ownPauses += 1;
    return this.#channel.readings + this.#ownPauses;
  }

  /** The description, which comes first. */
  async start(expected: { readonly from: bigint; readonly to: bigint }): Promise<SnapshotMessage> {
    const frame = await this.#read();
    if (frame.type !== FRAME_TYPE.snapshotStart) throw unexpected(frame);
    const source = new FieldReader(frame.body, "a snapshot's start");
    this.#bytes = source.safeUint64();
    const message = decodeMessage(source.bytes(source.remaining));
    const { kind, from, to } = message;
    if (kind !== "snapshot" || from !== expected.from || to !== expected.to) {
      throw new PeerError(
        "EPEERMESSAGE",
        `Cannot take message "${kind}" from ${idText(from)} to ${idText(to)}: ` +
          `expected a snapshot from ${idText(expected.from)} to ${idText(expected.to)}`,
      );
    }
    return message;
  }

  /** Throws when the connection is lost before the end. */
  async *content(): AsyncGenerator<Uint8Array> {
    let received = 0;
    for (;;) {
      const frame = await this.#read();
      if (frame.type === FRAME_TYPE.snapshotEnd) return this.#checkEnd(frame, received);
      if (frame.type !== FRAME_TYPE.snapshotChunk) throw unexpected(frame);
      received += frame.body.length;
      if (received > this.#bytes) throw this.#wrongLength(received);
      yield frame.body;
    }
  }

  #checkEnd(frame: Frame, received: number): void {
    const sent = new FieldReader(frame.body, "a snapshot's end").safeUint64();
    if (sent !== this.#bytes || received !== this.#bytes) throw this.#wrongLength(received);
  }

  #wrongLength(received: number): PeerError {
    return new PeerError(
      "EPEERSNAPSHOT",
      `Cannot receive snapshot: ${received} bytes came, expected ${this.#bytes}`,
    );
  }

  async #read(): Promise<Frame> {
    this.#isReading = true;
    try {
      return await this.#channel.read();
    } finally {
      this.#isReading = false;
    }
  }
}

function unexpected(frame: Frame): PeerError {
  return new PeerError("EPEERFRAME", `Cannot receive snapshot: a frame of type ${frame.type} came`);
}
