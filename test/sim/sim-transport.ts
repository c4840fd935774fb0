import type { Peer, PeerHandler, PeerTransport, SnapshotContent } from "../../store/peer/transport.ts";
import type { Message, SnapshotMessage } from "../../store/raft/message.ts";
import type { MessageLog } from "./message-log.ts";
import type { Network } from "./network.ts";
import type { SimProcess } from "./sim-process.ts";
import { carrySnapshot } from "./snapshot-courier.ts";

/** A cut is noticed when nothing has come for this long; the end of a process at once. */
const SILENCE_MS = 2000;
/** Until a failed attempt to send is told. */
const NOTICE_MS = 5;

/** Who listens on the network, by id. */
export class PeerNetwork {
  readonly network: Network;
  readonly log: MessageLog;
  readonly #listening = new Map<bigint, SimTransport>();

  constructor(network: Network, log: MessageLog) {
    this.network = network;
    this.log = log;
  }

  listen(transport: SimTransport): void {
    this.#listening.set(transport.id, transport);
  }

  find(id: bigint): SimTransport | undefined {
    const transport = this.#listening.get(id);
    return transport === undefined || transport.process.isDead ? undefined : transport;
  }
}

/** The connections of one life of a member. Frames that are on the way to it die with it. */
export class SimTransport implements PeerTransport {
  readonly id: bigint;
  readonly process: SimProcess;
  readonly handler: PeerHandler;
  readonly #peers: PeerNetwork;
  #known: ReadonlyMap<bigint, Peer> = new Map();
  readonly #seenMs = new Map<bigint, number>();
  readonly #away = new Set<bigint>();

  constructor(options: {
    readonly id: bigint;
    readonly process: SimProcess;
    readonly handler: PeerHandler;
    readonly peers: PeerNetwork;
  }) {
    this.id = options.id;
    this.process = options.process;
    this.handler = options.handler;
    this.#peers = options.peers;
    options.peers.listen(this);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      const { to } = message;
      const receiver = this.#peers.find(to);
      const isSent =
        receiver?.knows(this.id) === true &&
        this.#known.has(to) &&
        this.#peers.network.send(this, receiver, () => {
          this.#peers.log.delivered(message);
          receiver.handler.receive(message);
        });
      if (isSent) this.#away.delete(to);
      else this.#lost(to);
    }
  }

  sendSnapshot(
    message: SnapshotMessage,
    content: SnapshotContent,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const receiver = this.#known.has(message.to) ? this.#peers.find(message.to) : undefined;
    if (receiver?.knows(this.id) !== true) return Promise.reject(new Error("the peer is away"));
    return carrySnapshot({ sender: this, receiver, message, content, signal, peers: this.#peers });
  }

  setPeers(peers: ReadonlyMap<bigint, Peer>): void {
    this.#known = peers;
  }

  isActive(id: bigint): boolean {
    if (!this.#known.has(id) || this.#peers.find(id) === undefined) return false;
    const { network } = this.#peers;
    const { nowMs } = this.process;
    if (!network.isCut(this.id, id) && !network.isCut(id, this.id)) this.#seenMs.set(id, nowMs);
    return nowMs - (this.#seenMs.get(id) ?? Number.NEGATIVE_INFINITY) < SILENCE_MS;
  }

  async close(): Promise<void> {
    this.#known = new Map();
  }

  /** A member talks only with those that it knows, and with those whom it does not know yet because it has just joined. */
  knows(id: bigint): boolean {
    return this.#known.size === 0 || this.#known.has(id);
  }

  #lost(to: bigint): void {
    if (this.#away.has(to)) return;
    this.#away.add(to);
    this.process.after(NOTICE_MS, () => this.handler.unreachable(to));
  }
}
