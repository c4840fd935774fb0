import { idText } from "../raft/id-text.ts";
import { encodeFrame, FRAME_TYPE } from "./frame.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { MessageAssembler } from "./message-assembler.ts";
import { decodeMessage } from "./message-codec.ts";
import type { PeerContext } from "./peer-context.ts";
import type { PeerCounters } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import { SilenceWatch } from "./silence-watch.ts";

const PONG = encodeFrame(FRAME_TYPE.pong);

/**
 * Gives what a peer sends on its connection to the member, until the connection is gone: the peer's own messages to this
 * member, and nothing else. Resolves with the reason.
 */
export async function receiveMessages(
  channel: FrameChannel,
  from: bigint,
  options: { readonly context: PeerContext; readonly counters: PeerCounters },
): Promise<Error> {
  const { context, counters } = options;
  const { pingIntervalMs, silentLooksMax, unreadPongBytesMax } = context.limits;
  const watch = new SilenceWatch(() => channel.readings, {
    intervalMs: pingIntervalMs,
    silentLooksMax,
    onSilent: () => {
      const reason = `Connection with ${channel.remote} was silent for ${pingIntervalMs * silentLooksMax} ms`;
      channel.destroy(new PeerError("EPEERTIMEOUT", reason));
    },
  });
  const assembler = new MessageAssembler(context.limits);
  const take = (bytes: Buffer) => takeMessage(bytes, from, options);
  counters.activeConnections += 1;
  try {
    channel.consume((frame) => {
      switch (frame.type) {
        case FRAME_TYPE.ping:
          if (channel.waitingBytes < unreadPongBytesMax) channel.write(PONG);
          return;
        case FRAME_TYPE.message:
          return take(frame.body);
        case FRAME_TYPE.messagePart: {
          const whole = assembler.add(frame.body);
          return whole && take(whole);
        }
        default:
          throw new PeerError(
            "EPEERFRAME",
            `Cannot use frame of type ${frame.type}: expected a message, a part of one, or a ping`,
          );
      }
    });
    return await channel.closed;
  } finally {
    watch.stop();
    counters.activeConnections -= 1;
    counters.disconnects += 1;
  }
}

function takeMessage(
  bytes: Buffer,
  from: bigint,
  { context, counters }: { readonly context: PeerContext; readonly counters: PeerCounters },
): void {
  const message = decodeMessage(bytes);
  if (message.from !== from || message.to !== context.id || message.kind === "snapshot") {
    throw new PeerError(
      "EPEERMESSAGE",
      `Cannot take message "${message.kind}" from ${idText(message.from)} to ${idText(message.to)}: ` +
        `expected messages from ${idText(from)} to ${idText(context.id)}, and snapshots on their own connection`,
    );
  }
  counters.receivedMessages += 1;
  context.handler.receive(message);
}
