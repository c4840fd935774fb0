import type { Later } from "../../base/later.ts";
import { withDeadline } from "./deadline.ts";
import { FrameChannel } from "./frame-channel.ts";
import { decodeAnswer, encodeHello, type Hello, PeerRefusal } from "./handshake.ts";
import type { ByteMeter } from "./peer-counters.ts";
import { PeerError } from "./peer-error.ts";
import type { PeerLimits } from "./peer-limits.ts";
import { dial } from "./peer-socket.ts";

/**
 * Connects to a member at one of its URLs and says hello. Rejects with a PeerError (a PeerRefusal, when the other side does not
 * want to talk), or with the signal's reason.
 */
export async function openChannel(
  url: string,
  hello: Hello,
  options: {
    readonly limits: PeerLimits;
    readonly later: Later;
    readonly meter: ByteMeter;
    readonly signal: AbortSignal;
  },
): Promise<FrameChannel> {
  const { limits, meter } = options;
  const { dialMs: ms } = limits;
  const lateText = `Cannot reach ${url}: no answer within ${ms} ms`;
  const attempt = async (signal: AbortSignal) => {
    const channel = new FrameChannel(await dial(url, { signal }), options);
    await greet(channel, hello, signal);
    channel.open(meter);
    return channel;
  };
  return withDeadline(attempt, { ms, lateText, signal: options.signal });
}

async function greet(channel: FrameChannel, hello: Hello, signal: AbortSignal): Promise<void> {
  const release = channel.destroyOn(signal);
  try {
    channel.write(encodeHello(hello));
    const answer = decodeAnswer(await channel.read());
    if (answer.refusal !== undefined) throw new PeerRefusal(answer.refusal, answer, hello);
    if (hello.kind === "call") return;
    if (answer.clusterId !== hello.clusterId) throw new PeerRefusal("cluster", answer, hello);
    if (answer.memberId !== hello.to) throw new PeerRefusal("target", answer, hello);
  } catch (error) {
    channel.destroy(error instanceof Error ? error : new PeerError("EPEERCLOSED", String(error)));
    throw error;
  } finally {
    release();
  }
}
