import type { CallHandler } from "../../store/peer/call-server.ts";
import { FieldWriter } from "../../store/peer/field-writer.ts";
import { decodeMessage, encodeMessage } from "../../store/peer/message-codec.ts";
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
  readonly #encodesMessages: boolean;
  readonly #writer = new FieldWriter();
  readonly #listening = new Map<bigint, SimTransport>();

  constructor(network: Network, log: MessageLog, { encodesMessages }: { readonly encodesMessages: boolean }) {
    this.network = network;
    this.log = log;
    this.#encodesMessages = encodesMessages;
  }

  /** The message as it comes out at the other end of a wire. */
  wired(message: Message): Message {
    if (!this.#encodesMessages) return message;
    encodeMessage(message, this.#writer);
    return decodeMessage(this.#writer.take());
  }

  listen(transport: SimTransport): void {
    this.#listening.set(transport.id, transport);
  }

  /** Who listens at one of these URLs. */
  findAt(urls: readonly string[]): SimTransport | undefined {
    for (const { id, url } of this.#listening.values()) if (urls.includes(url)) return this.find(id);
    return undefined;
  }

  find(id: bigint): SimTransport | undefined {
    const transport = this.#listening.get(id);
    return transport === undefined || transport.process.isDead ? undefined : transport;
  }
}

/** The connections of one life of a member. Frames that are on the way to it die with it. */
export class SimTransport implements PeerTransport {
  readonly id: bigint;
  readonly url: string;
  readonly process: SimProcess;
  readonly handler: PeerHandler;
  /** Answers what other members ask beside the log. */
  readonly answer: CallHandler;
  readonly #peers: PeerNetwork;
  readonly #isRemoved: (id: bigint) => boolean;
  readonly #onRemoved: () => void;
  #known: ReadonlyMap<bigint, Peer> = new Map();
  /** They have named themselves, and are in no table of this member's yet (as etcd's "remotes"). */
  readonly #remotes = new Set<bigint>();
  readonly #seenMs = new Map<bigint, number>();
  readonly #away = new Set<bigint>();

  constructor(options: {
    readonly id: bigint;
    readonly url: string;
    readonly process: SimProcess;
    readonly handler: PeerHandler;
    readonly answer: CallHandler;
    readonly peers: PeerNetwork;
    /** Whether this member knows that another one belongs to the cluster no longer. */
    readonly isRemoved: (id: bigint) => boolean;
    /** Another one says so of this member. May be called more than once. */
    readonly onRemoved: () => void;
  }) {
    this.id = options.id;
    this.url = options.url;
    this.answer = options.answer;
    this.process = options.process;
    this.handler = options.handler;
    this.#peers = options.peers;
    this.#isRemoved = options.isRemoved;
    this.#onRemoved = options.onRemoved;
    options.peers.listen(this);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      const receiver = this.#reach(message.to);
      const isSent =
        receiver !== undefined &&
        this.#peers.network.send(this, receiver, () => {
          if (!receiver.#welcomes(this)) return;
          this.#peers.log.delivered(message);
          receiver.handler.receive(this.#peers.wired(message));
        });
      if (isSent) this.#away.delete(message.to);
      else this.#lost(message.to);
    }
  }

  sendSnapshot(
    message: SnapshotMessage,
    content: SnapshotContent,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const receiver = this.#reach(message.to);
    if (receiver === undefined) return Promise.reject(new Error("the peer is away"));
    return carrySnapshot({ sender: this, receiver, message, content, signal, peers: this.#peers });
  }

  setPeers(peers: ReadonlyMap<bigint, Peer>): void {
    this.#known = peers;
  }

  isActive(id: bigint): boolean {
    if (this.#reach(id) === undefined) return false;
    const { network } = this.#peers;
    const { nowMs } = this.process;
    if (!network.isCut(this.id, id) && !network.isCut(id, this.id)) this.#seenMs.set(id, nowMs);
    return nowMs - (this.#seenMs.get(id) ?? Number.NEGATIVE_INFINITY) < SILENCE_MS;
  }

  async close(): Promise<void> {
    this.#known = new Map();
    this.#remotes.clear();
  }

  #reach(id: bigint): SimTransport | undefined {
    return this.#known.has(id) || this.#remotes.has(id) ? this.#peers.find(id) : undefined;
  }

  /** Takes what comes from others, but for those that were removed: they are told. */
  #welcomes(sender: SimTransport): boolean {
    if (this.#isRemoved(sender.id)) {
      this.#peers.network.send(this, sender, () => sender.#onRemoved());
      return false;
    }
    if (!this.#known.has(sender.id)) this.#remotes.add(sender.id);
    return true;
  }

  #lost(to: bigint): void {
    if (this.#away.has(to)) return;
    this.#away.add(to);
    this.process.after(NOTICE_MS, () => this.handler.unreachable(to));
  }
}
