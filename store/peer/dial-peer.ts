import type { FrameChannel } from "./frame-channel.ts";
import type { ConnectionKind, Hello } from "./handshake.ts";
import { openChannel } from "./open-channel.ts";
import type { PeerContext } from "./peer-context.ts";
import type { ByteMeter } from "./peer-counters.ts";

/** Connects to a peer. Rejects as {@link openChannel} does. */
export function dialPeer(
  context: PeerContext,
  peer: { readonly id: bigint; readonly url: string; readonly kind: ConnectionKind },
  options: { readonly meter: ByteMeter; readonly signal: AbortSignal },
): Promise<FrameChannel> {
  const { id, clusterId, limits, later } = context;
  const peerUrls = context.peerUrls();
  const hello: Hello = { kind: peer.kind, clusterId, from: id, to: peer.id, peerUrls };
  return openChannel(peer.url, hello, { ...options, limits, later });
}
