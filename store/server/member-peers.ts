import type { Clock } from "../../base/clock.ts";
import { invariant } from "../../base/invariant.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { StateMachine } from "../apply/types.ts";
import type { Member } from "../membership/types.ts";
import type { CallHandler } from "../peer/call-server.ts";
import { PEER_LIMITS } from "../peer/peer-limits.ts";
import { TcpTransport } from "../peer/tcp-transport.ts";
import type { PeerHandler } from "../peer/transport.ts";
import type { WalIdentity } from "../wal/wal.ts";

/** Around the largest request in the largest message: what an append holds beside it, and the encoding. */
const MESSAGE_OVERHEAD_BYTES = 2 * 1024 * 1024;

export interface MemberPeersOptions {
  /** etcd `--max-request-bytes`: an entry of this size must pass, or nothing behind it would. */
  readonly requestBytesMax: number;
  /** Answers what other members ask beside the log. */
  readonly onCall: CallHandler;
  /** This member was removed from the cluster, and is to end. May be called more than once. */
  readonly onRemoved: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A member's way to the others, kept to those that its table of members names. */
export class MemberPeers {
  readonly #options: MemberPeersOptions;
  readonly #state: Pick<StateMachine, "members" | "removedMembers">;
  readonly #planned: readonly Member[];
  #transport: TcpTransport | undefined;
  #ownId = 0n;

  /** `planned`: whom a member without data has been told of; until its log names them, they are all it knows. */
  constructor(
    options: MemberPeersOptions,
    {
      state,
      planned,
    }: {
      readonly state: Pick<StateMachine, "members" | "removedMembers">;
      readonly planned: readonly Member[];
    },
  ) {
    this.#options = options;
    this.#state = state;
    this.#planned = planned;
  }

  /** To be called once, before anything else. */
  connect(handler: PeerHandler, { clusterId, memberId: id }: WalIdentity): TcpTransport {
    const { onCall, onRemoved, clock, random, logger, requestBytesMax } = this.#options;
    this.#ownId = id;
    this.#transport = new TcpTransport({
      id,
      clusterId,
      peerUrls: () => this.#known().get(id)?.peerUrls ?? [],
      handler,
      isRemoved: (member) => this.#state.removedMembers.has(member),
      onCall,
      onRemoved,
      clock,
      random,
      logger,
      limits: {
        messageBytesMax: Math.max(PEER_LIMITS.messageBytesMax, requestBytesMax + MESSAGE_OVERHEAD_BYTES),
      },
    });
    this.changed();
    return this.#transport;
  }

  get transport(): TcpTransport {
    invariant(this.#transport !== undefined, "the member is connected");
    return this.#transport;
  }

  /** The table of members may have changed. */
  changed(): void {
    this.#transport?.setPeers(this.#known());
    if (this.#state.removedMembers.has(this.#ownId)) this.#options.onRemoved();
  }

  #known(): ReadonlyMap<bigint, Member> {
    return knownMembers(this.#state, this.#planned);
  }
}

/** Those of the table, and those of whom it does not say that they have left. */
export function knownMembers(
  { members, removedMembers }: Pick<StateMachine, "members" | "removedMembers">,
  planned: readonly Member[],
): ReadonlyMap<bigint, Member> {
  const known = new Map([...planned, ...members].map((member) => [member.id, member]));
  for (const id of removedMembers) known.delete(id);
  return known;
}
