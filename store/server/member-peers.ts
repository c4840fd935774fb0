import { invariant } from "../../base/invariant.ts";
import type { StateMachine } from "../apply/types.ts";
import type { Member } from "../membership/types.ts";
import type { PeerHandler, PeerTransport } from "../peer/transport.ts";
import type { WalIdentity } from "../wal/wal.ts";

/** What a member's transport is made of. */
export interface PeerWiring {
  readonly identity: WalIdentity;
  readonly handler: PeerHandler;
  /** Where this member listens, as the cluster knows it. */
  readonly peerUrls: () => readonly string[];
  /** Whether this member knows that another one belongs to the cluster no longer. */
  readonly isRemoved: (id: bigint) => boolean;
  /** Another one says so of this member. */
  readonly onRemoved: () => void;
}

export interface MemberPeersOptions<Transport> {
  readonly state: Pick<StateMachine, "members" | "removedMembers">;
  /** Whom a member without data has been told of; until its log names them, they are all it knows. */
  readonly planned: readonly Member[];
  readonly makeTransport: (wiring: PeerWiring) => Transport;
  /** This member was removed from the cluster, and is to end. May be called more than once. */
  readonly onRemoved: () => void;
}

/** A member's way to the others, kept to those that its table of members names. */
export class MemberPeers<Transport extends PeerTransport> {
  readonly #options: MemberPeersOptions<Transport>;
  #transport: Transport | undefined;
  #ownId = 0n;

  constructor(options: MemberPeersOptions<Transport>) {
    this.#options = options;
  }

  /** To be called once, before anything else. */
  connect(handler: PeerHandler, identity: WalIdentity): Transport {
    const { state, onRemoved, makeTransport } = this.#options;
    const { memberId: id } = identity;
    this.#ownId = id;
    this.#transport = makeTransport({
      identity,
      handler,
      peerUrls: () => this.#known().get(id)?.peerUrls ?? [],
      isRemoved: (member) => state.removedMembers.has(member),
      onRemoved,
    });
    this.changed();
    return this.#transport;
  }

  get transport(): Transport {
    invariant(this.#transport !== undefined, "the member is connected");
    return this.#transport;
  }

  /** The table of members may have changed. */
  changed(): void {
    const { state, onRemoved } = this.#options;
    this.#transport?.setPeers(this.#known());
    if (state.removedMembers.has(this.#ownId)) onRemoved();
  }

  /** Those of the table, and those of whom it does not say that they have left. */
  #known(): ReadonlyMap<bigint, Member> {
    const { state, planned } = this.#options;
    const known = new Map([...planned, ...state.members].map((member) => [member.id, member]));
    for (const id of state.removedMembers) known.delete(id);
    return known;
  }
}
