import { errorMessage } from "../../base/errors.ts";
import { idText } from "../raft/id-text.ts";
import type { SnapshotMessage } from "../raft/message.ts";
import { dialPeer } from "./dial-peer.ts";
import { FieldReader } from "./field-reader.ts";
import { encodeFrame, FRAME_TYPE } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { encodeMessage } from "./message-codec.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { SnapshotContent } from "./transport.ts";

/** In how many looks a stall is found. */
export const SNAPSHOT_LOOKS = 5;

interface SendOptions {
  readonly urls: readonly string[];
  readonly context: PeerContext;
  readonly counters: PeerCounters;
  readonly signal: AbortSignal;
}

/**
 * Sends a snapshot on a connection of its own. Resolves when the receiver has taken it. Rejects with PeerError EPEERSNAPSHOT,
 * which says why, or with the signal's reason; the body is then closed, or will be as soon as it has given what it was
 * asked for.
 */
export async function sendSnapshot(
  message: SnapshotMessage,
  content: SnapshotContent,
  options: SendOptions,
): Promise<void> {
  const body = content.body[Symbol.asyncIterator]();
  const { counters, context, signal } = options;
  try {
    const channel = await openAny(message.to, options);
    const release = channel.destroyOn(signal);
    counters.activeConnections += 1;
    try {
      await new Transfer(channel, context).run(message, content.bytes, body);
    } finally {
      counters.activeConnections -= 1;
      release();
      channel.destroy(new PeerError("EPEERCLOSED", "The snapshot's transfer is over"));
    }
    counters.snapshotsSent += 1;
  } catch (error) {
    counters.snapshotSendFailures += 1;
    if (signal.aborted) throw signal.reason;
    const { index } = message.snapshot;
    const reason = `Cannot send snapshot at index ${index} to ${idText(message.to)}: ${errorMessage(error)}`;
    throw new PeerError("EPEERSNAPSHOT", reason, { cause: error });
  } finally {
    await closeBody(body, context.limits.closeMs);
  }
}

/** At the first of the peer's URLs that answers. */
async function openAny(id: bigint, options: SendOptions): Promise<FrameChannel> {
  const { context, counters, signal } = options;
  let failure: unknown = new PeerError("EPEERURL", "the peer has no URL");
  for (const url of options.urls) {
    try {
      return await dialPeer(context, { id, url, kind: "snapshot" }, { meter: counters, signal });
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

/** One snapshot over one connection. */
class Transfer {
  readonly #channel: FrameChannel;
  readonly #context: PeerContext;
  #piecesSent = 0;
  #isSent = false;

  constructor(channel: FrameChannel, context: PeerContext) {
    this.#channel = channel;
    this.#context = context;
  }

  async run(message: SnapshotMessage, bytes: number, body: AsyncIterator<Uint8Array>): Promise<void> {
    const { snapshotStallMs, snapshotTakeMs } = this.#context.limits;
    // First that the receiver takes what it is sent; then that it says it is still there.
    const signs = () => (this.#isSent ? this.#channel.readings : this.#piecesSent);
    const watch = new SilenceWatch(signs, {
      intervalMs: snapshotStallMs / SNAPSHOT_LOOKS,
      silentLooksMax: SNAPSHOT_LOOKS,
      onSilent: () => this.#giveUp(`nothing of it moved for ${snapshotStallMs} ms`),
    });
    let timer: NodeJS.Timeout | undefined;
    const answered = this.#answer();
    const sent = this.#send(message, bytes, body).then(() => {
      const onLate = () => this.#giveUp(`the receiver did not take it within ${snapshotTakeMs} ms`);
      timer = setTimeout(onLate, snapshotTakeMs);
      return answered;
    });
    try {
      await Promise.race([answered, sent]);
    } finally {
      watch.stop();
      clearTimeout(timer);
    }
  }

  async #send(message: SnapshotMessage, bytes: number, body: AsyncIterator<Uint8Array>): Promise<void> {
    const { snapshotChunkBytes } = this.#context.limits;
    this.#channel.write(
      encodeFrame(FRAME_TYPE.snapshotStart, (target) => {
        target.safeUint64(bytes);
        encodeMessage(message, target);
      }),
    );
    let sentBytes = 0;
    for (let step = await body.next(); step.done !== true; step = await body.next()) {
      for (let at = 0; at < step.value.byteLength; at += snapshotChunkBytes) {
        await this.#sendPiece(step.value.subarray(at, at + snapshotChunkBytes));
      }
      sentBytes += step.value.byteLength;
    }
    if (sentBytes !== bytes) {
      throw new PeerError("EPEERSNAPSHOT", `its content has ${sentBytes} bytes, expected ${bytes}`);
    }
    this.#channel.write(encodeFrame(FRAME_TYPE.snapshotEnd, (target) => target.safeUint64(bytes)));
    this.#isSent = true;
  }

  async #sendPiece(piece: Uint8Array): Promise<void> {
    this.#channel.write(encodeFrame(FRAME_TYPE.snapshotChunk, (target) => target.bytes(piece)));
    await this.#channel.drained();
    this.#piecesSent += 1;
    // A network that takes everything at once would keep the rest of the process waiting.
    await new Promise<void>((resolve) => this.#context.later(resolve));
  }

  async #answer(): Promise<void> {
    for (;;) {
      const frame = await this.#channel.read();
      switch (frame.type) {
        case FRAME_TYPE.ping:
          continue;
        case FRAME_TYPE.snapshotTaken:
          return;
        case FRAME_TYPE.snapshotRefused: {
          const reason = new FieldReader(frame.body, "a snapshot's refusal").string();
          throw new PeerError("EPEERSNAPSHOT", `the receiver refused it: ${reason}`);
        }
        default:
          throw new PeerError("EPEERFRAME", `the receiver sent a frame of type ${frame.type}`);
      }
    }
  }

  #giveUp(reason: string): void {
    this.#channel.destroy(new PeerError("EPEERTIMEOUT", reason));
  }
}

/** A body that is in the middle of a step closes behind it, however long that takes. */
async function closeBody(body: AsyncIterator<Uint8Array>, limitMs: number): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, limitMs);
  // How it ended is known by now, and a file that does not close changes nothing in that.
  const closed = Promise.resolve(body.return?.()).catch(() => undefined);
  await Promise.race([closed, limit.promise]);
  clearTimeout(timer);
}
