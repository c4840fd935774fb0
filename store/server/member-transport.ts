import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { CallHandler } from "../peer/call-server.ts";
import { PEER_LIMITS } from "../peer/peer-limits.ts";
import { TcpTransport } from "../peer/tcp-transport.ts";
import type { PeerWiring } from "./member-peers.ts";

/** Around the largest request in the largest message: what an append holds beside it, and the encoding. */
const MESSAGE_OVERHEAD_BYTES = 2 * 1024 * 1024;

/** A member's sockets to the others, and from them. */
export function memberTransport(
  options: {
    /** etcd `--max-request-bytes`: an entry of this size must pass, or nothing behind it would. */
    readonly requestBytesMax: number;
    /** Answers what other members ask beside the log. */
    readonly onCall: CallHandler;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
  },
  { identity, ...wiring }: PeerWiring,
): TcpTransport {
  const { onCall, clock, random, logger, requestBytesMax } = options;
  return new TcpTransport({
    ...wiring,
    id: identity.memberId,
    clusterId: identity.clusterId,
    onCall,
    clock,
    random,
    logger,
    limits: {
      messageBytesMax: Math.max(PEER_LIMITS.messageBytesMax, requestBytesMax + MESSAGE_OVERHEAD_BYTES),
    },
  });
}
