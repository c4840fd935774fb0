import { type ChannelOptions, FrameChannel } from "./frame-channel.ts";
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
    readonly channel: ChannelOptions;
    readonly meter: ByteMeter;
    readonly signal: AbortSignal;
  },
): Promise<FrameChannel> {
  const { limits, signal } = options;
  signal.throwIfAborted();
  const attempt = new AbortController();
  const onAbort = () => attempt.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    attempt.abort(new PeerError("EPEERTIMEOUT", `Cannot reach ${url}: no answer within ${limits.dialMs} ms`));
  }, limits.dialMs);
  try {
    const socket = await dial(url, attempt);
    const channel = new FrameChannel(socket, options.channel);
    await greet(channel, hello, attempt.signal);
    channel.open({ payloadBytesMax: limits.messageBytesMax, meter: options.meter });
    return channel;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

async function greet(channel: FrameChannel, hello: Hello, signal: AbortSignal): Promise<void> {
  const onAbort = () => channel.destroy(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
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
    signal.removeEventListener("abort", onAbort);
  }
}
