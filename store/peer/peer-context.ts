import type { Clock } from "../../base/clock.ts";
import type { Later } from "../../base/later.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { PeerLimits } from "./peer-limits.ts";
import type { PeerHandler } from "./transport.ts";

/** Who this member is to others, and what each of its connections works with. */
export interface PeerContext {
  readonly id: bigint;
  readonly clusterId: bigint;
  /** Where it listens for members as of now: told to those that have not heard of it. */
  readonly peerUrls: () => readonly string[];
  readonly handler: PeerHandler;
  /** A peer says that this member has been removed from the cluster. May be called more than once. */
  readonly onRemoved: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly later: Later;
  readonly logger: Logger;
  readonly limits: PeerLimits;
}
